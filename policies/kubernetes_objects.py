"""Namespaces, accounts, roles, network policies, services, and what must not stand in a ConfigMap."""

from __future__ import annotations

from typing import Any

from components.planned import UNKNOWN
from components.planned_values import SECRET, is_known, known
from policies.aws_cluster import opens
from policies.kubernetes_pods import BINDINGS, bound, looks_secret
from policies.rules import PLAN, RESOURCE, Subject, Verdict, policy, texts

NAMESPACE = "kubernetes:core/v1:Namespace"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRETS = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ROLES = "kubernetes:rbac.authorization.k8s.io/v1:Role kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
CLUSTER_SCOPED = {
    "Namespace", "PersistentVolume", "StorageClass", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "CustomResourceDefinition",
}  # fmt: skip
FORBIDDEN_RESOURCES = {"secrets", "pods/exec", "pods/attach", "nodes/proxy", "serviceaccounts/token"}
FORBIDDEN_VERBS = {"escalate", "bind", "impersonate"}
SAMPLE_CREDENTIALS = ("ekspassword", "supersecretpassword", "temporary_key")
"""Passwords and keys of the original lab, which everybody knows."""
BALANCER = "service.beta.kubernetes.io/aws-load-balancer-"

# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("namespace-restricted", NAMESPACE, "CIS-4.2.1 CIS-4.2.2 CIS-4.2.3 CIS-4.2.4 CIS-4.2.5 CKV_K8S_16 KSV-0001 C-0057",
       "a root or privileged pod would be accepted here", "label it pod-security.kubernetes.io/enforce=restricted",
       lambda it: known(it.at("metadata.labels"), dict, {}).get("pod-security.kubernetes.io/enforce") == "restricted")
policy("not-in-default-namespace", RESOURCE, "CKV_K8S_21 KSV-0110 CIS-4.5.2",
       "the object lies in namespace default, where no rule of ours holds", "give metadata.namespace",
       lambda it: not _namespaced(it) or (it.given("metadata.namespace") and it.at("metadata.namespace") != "default"))
policy("config-map-no-secrets", CONFIG_MAP, "KSV-0109 KSV-01010",
       "a secret stands in a ConfigMap, readable for every pod and in every log of changes", "keep it in a Secret",
       lambda it: [f"key {key}" for key, value in known(it.at("data"), dict, {}).items() if looks_secret(key, value)]
       + (["its whole data is a Pulumi secret"] if it.at("data") is SECRET else []))
policy("secret-hidden", SECRETS, "",
       "a Secret's value stands readable in state and preview", "pass an Output that is a secret",
       lambda it: [f"key {key}" for kind in ("data", "stringData") for key, value in known(it.at(kind), dict, {}).items()
                   if isinstance(value, str) and value and not key.lower().endswith(("user", "username", "email", "host", "name"))])
policy("no-sample-credentials", RESOURCE, "",
       "a password that everybody can look up is used", "let the stack generate it",
       lambda it: [path for path, text in texts(it.data) if any(sample in text for sample in SAMPLE_CREDENTIALS)])
policy("authentication-on", CONFIG_MAP, "",
       "the web UI asks for no login", "remove authenticate = False, or use the FAB auth manager",
       lambda it: [key for key, text in texts(it.at("data")) if "authenticate = false" in text.lower()
                   or (key.upper().endswith("SIMPLE_AUTH_MANAGER_ALL_ADMINS") and text.lower() == "true")])
policy("account-no-idle-token", ACCOUNT, "CKV_K8S_38 CIS-4.1.6 KSV-0036",
       "pods of this account get a token that no role gives a use to", "set automountServiceAccountToken to false",
       lambda it: it.false("automountServiceAccountToken", True) is True or bound(it, it.at("metadata.name")))
policy("rbac-no-wildcards", ROLES, "CKV_K8S_49 CIS-4.1.3 KSV-0044 KSV-0045 KSV-0046",
       "the role allows everything of some kind", "list groups, resources and verbs",
       lambda it: [f"{key} *" for rule in it.items("rules") for key in ("apiGroups", "resources", "verbs") if "*" in (rule.get(key) or [])])
policy("rbac-no-takeover", ROLES, "CIS-4.1.2 CIS-4.1.4 KSV-0041 KSV-0048 KSV-0053",
       "the role can read secrets, enter pods or give itself more", "remove these resources and verbs",
       lambda it: [", ".join(sorted(hit)) for rule in it.items("rules")
                   if (hit := (FORBIDDEN_RESOURCES & set(rule.get("resources") or [])) | (FORBIDDEN_VERBS & set(rule.get("verbs") or [])))])
policy("rbac-no-cluster-admin", " ".join(BINDINGS), "CIS-4.1.1 KSV-0111", "the account may do anything", "bind a role of its own",
       lambda it: it.at("roleRef.name") not in ("cluster-admin", "admin", "edit"))
policy("rbac-not-for-default-account", " ".join(BINDINGS), "CKV_K8S_42",
       "every pod that names no account may do this", "bind an account of its own",
       lambda it: [f"{entry.get('namespace', '?')}/default" for entry in it.items("subjects")
                   if entry.get("kind") == "ServiceAccount" and entry.get("name") == "default"])
policy("network-default-deny", NAMESPACE, "CIS-4.3.2 C-0206 C-0030",
       "every pod of the cluster may talk to the pods here", "add a NetworkPolicy for all pods with both policy types and no rule",
       lambda it: any(_denies_all(other) for other in it.plan.subjects(NETWORK_POLICY)
                      if other.at("metadata.namespace") in (it.at("metadata.name"), UNKNOWN)))
policy("network-no-open-rule", NETWORK_POLICY, "C-0030",
       "the policy allows everything in one direction", "name peers or ports",
       lambda it: [f"{kind} {{}}" for kind in ("ingress", "egress") for rule in it.items(f"spec.{kind}")
                   if not rule.get("ports") and not rule.get({"ingress": "from", "egress": "to"}[kind])])
policy("service-no-external-ips", SERVICE, "KSV-0108",
       "the Service takes over traffic to any address it names", "remove externalIPs", lambda it: not it.given("spec.externalIPs"))
policy("service-sources-named", SERVICE, "KSV-0108 AWS-0107",
       "whoever has a route to the web UI may open it, which is the default",
       "give loadBalancerSourceRanges, none of them open (web.allowedCidrs)",
       lambda it: not _balanced(it) or (it.given("spec.loadBalancerSourceRanges")
                                        and not any(opens(cidr) is True for cidr in it.items("spec.loadBalancerSourceRanges"))))
policy("service-tls", SERVICE, "CKV_AWS_2 CKV_AWS_376 AWS-0054 AWS-0047 CIS-5.4.5",
       "passwords cross the VPC in clear", "give web.certificateArn", lambda it: not _balanced(it) or _encrypts(it))
policy("service-public-tls", SERVICE, "CKV_AWS_2 CKV_AWS_376 AWS-0054 AWS-0047 CIS-5.4.5",
       "passwords cross the internet in clear", "give web.certificateArn, or empty web.allowedCidrs",
       lambda it: not _public(it) or _encrypts(it))
policy("service-network-balancer", SERVICE, "",
       "a Classic load balancer is made, which gets critical fixes only", f"annotate {BALANCER}type: nlb or external",
       lambda it: not _balanced(it) or _annotation(it, "type") in ("nlb", "external", "nlb-ip") or it.given("spec.loadBalancerClass"))
policy("service-access-logs", SERVICE, "CKV_AWS_91 AWS-0052",
       "who opened the public web UI is not on record", f"annotate {BALANCER}attributes with access_logs.s3.enabled=true and a bucket",
       lambda it: not _public(it) or "access_logs.s3.enabled=true" in str(_annotation(it, "attributes"))
       or str(_annotation(it, "access-log-enabled")) == "true")
policy("deployment-budget", DEPLOYMENT, "",
       "a drain may stop every replica at once", "add a PodDisruptionBudget for its labels", lambda it: _budgets(it, _labels(it)))
policy("workers-no-budget", BUDGET, "",
       "a budget over task pods blocks the drain of a Spot node that is about to go", "let it select core components only",
       lambda it: it.given("spec.selector.matchLabels") and it.at("spec.selector.matchLabels.component") != "worker")
# fmt: on


@policy("rds-verified-tls", PLAN, "CKV2_AWS_69", "clients of the database do not check whose certificate it shows",
        "set sslmode=verify-full and sslrootcert to the RDS bundle")  # fmt: skip
def _(it: Subject) -> Verdict:
    if not it.plan.subjects("aws:rds/instance:Instance") or not it.plan.targets("any container"):
        return True
    where = [*it.plan.subjects(CONFIG_MAP), *it.plan.subjects(SECRETS), *it.plan.targets("any container")]
    if any("verify-full" in text for subject in where for _, text in texts(subject.data)):
        return True
    if any(subject.at("data") is UNKNOWN for subject in it.plan.subjects(CONFIG_MAP)):
        return UNKNOWN
    return UNKNOWN if any(_hides_connection(subject) for subject in it.plan.subjects(SECRETS)) else False


def _hides_connection(it: Subject) -> bool:
    """Whether a connection URI may be in here, which can say how to verify, and which rules must not see."""
    hidden = it.at("stringData", {})
    return not is_known(hidden) or any("conn" in key and not is_known(value) for key, value in hidden.items())


def _namespaced(it: Subject) -> bool:
    package, _, rest = (it.resource.type if it.resource else "").partition(":")
    kind = rest.rpartition(":")[2]
    # charts and YAML files bring their own
    return package == "kubernetes" and "/v" in rest and not rest.startswith(("helm.", "yaml")) and kind not in CLUSTER_SCOPED


def _balanced(it: Subject) -> bool:
    return bool(it.at("spec.type") == "LoadBalancer")


def _annotation(it: Subject, key: str) -> Any:
    return known(it.at("metadata.annotations"), dict, {}).get(BALANCER + key)


def _encrypts(it: Subject) -> Verdict:
    certificate = _annotation(it, "ssl-cert")
    return bool(certificate) if is_known(certificate) else UNKNOWN


def _public(it: Subject) -> bool:
    return (
        _balanced(it) and _annotation(it, "scheme") != "internal" and str(_annotation(it, "internal")).lower() not in ("true", "0.0.0.0/0")
    )


def _denies_all(it: Subject) -> bool:
    spec = known(it.at("spec"), dict, {})
    return (
        not spec.get("podSelector")
        and {"Ingress", "Egress"} <= set(spec.get("policyTypes") or [])
        and not (spec.get("ingress") or spec.get("egress"))
    )


def _labels(it: Subject) -> dict[str, Any]:
    return dict(known(it.at("spec.template.metadata.labels"), dict, {}))


def _budgets(it: Subject, labels: dict[str, Any]) -> bool:
    selectors = [known(budget.at("spec.selector.matchLabels"), dict, {}) for budget in it.plan.subjects(BUDGET)]
    return any(
        selector and all(not is_known(value) or labels.get(key) == value for key, value in selector.items()) for selector in selectors
    )
