"""Every pod that the plan declares, Airflow's worker template included."""

from __future__ import annotations

import re
from typing import Any

from components.planned import UNKNOWN
from components.planned_values import is_known, known
from policies.rules import CONTAINER, POD, Subject, Verdict, every, policy

HIGH_USER = 10000
"""Below it users of the node itself may exist (KSV-0020)."""
VOLUME_KINDS = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
"""What the Pod Security Standard restricted lets a pod mount."""
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|FERNET|PRIVATE_KEY|ACCESS_KEY|API_KEY|CONN$|CONN_ASYNC$|_URI$", re.I)
HARMLESS_NAME = re.compile(r"(_CMD|_SECRET|_FILE|_PATH|_NAME|_BACKEND|EXPIRATION\w*|_LIFETIME\w*|_SECONDS|_ENABLED|SECRETS?_NAME)$", re.I)
"""Settings about secrets: where they are, how long they last. `_SECRET` is Airflow's suffix for a path in a secrets backend."""
SECRET_VALUE = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@"  # a URI with a password
    r"|https?://[^/\s:@\"]+@"  # or with a token alone, as hosts of git take it
    r"|AKIA[0-9A-Z]{16}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?<![\w-])[\w-]{43}=(?![\w=])"  # a Fernet key: 32 bytes, url-safe
)
PLACES = re.compile(r'/\S*|\{("\w+": "/[^"]*"(, )?)+\}')
"""A path, or an object of nothing but paths: where a secret is, not what it is."""
BINDINGS = ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding")
LASTING = {"kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet"}


def looks_secret(name: str, value: Any) -> bool:
    """Whether a setting's name or value says that it should not be readable."""
    if not isinstance(value, str) or not value:
        return not is_known(value) and value is not UNKNOWN  # a Pulumi secret: it would be readable once it got there
    if SECRET_VALUE.search(value):
        return True
    named = SECRET_NAME.search(name) and (not HARMLESS_NAME.search(name) or re.search(r"(JWT|API__)_?SECRET(_KEY)?$", name, re.I))
    return bool(named) and value.lower() not in ("true", "false") and not value.isdigit() and not PLACES.fullmatch(value)


def secure(it: Subject, path: str) -> Any:
    """A security setting of a container, its pod's where the container says nothing."""
    own = it.at(f"securityContext.{path}")
    return own if own is not None or it.pod is None else Subject(it.plan, "", it.pod.spec).at(f"securityContext.{path}")


def is_app(it: Subject) -> bool:
    """Whether the container is a lasting one of a Deployment."""
    lasting = it.resource is not None and it.resource.type in LASTING
    return lasting and it.pod is not None and it.data in known(it.pod.spec.get("containers"), list, [])


# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("pod-own-account", POD, "CKV_K8S_41 CIS-4.1.5",
       "the pod runs with the namespace's default account", "give it a ServiceAccount of its own",
       lambda it: it.given("serviceAccountName") and it.at("serviceAccountName") != "default")
policy("pod-no-idle-token", POD, "CKV_K8S_38 CIS-4.1.6 KSV-0036",
       "the pod carries a token for the Kubernetes API that it has no use for", "set automountServiceAccountToken to false",
       lambda it: it.false("automountServiceAccountToken", True) is True or bound(it, it.at("serviceAccountName")))
policy("pod-not-on-host", POD, "CKV_K8S_17 CKV_K8S_18 CKV_K8S_19 CIS-4.2.2 CIS-4.2.3 CIS-4.2.4 KSV-0008 KSV-0009 KSV-0010 C-0038 C-0041",
       "the pod sees processes or networks of its node", "remove hostPID, hostIPC and hostNetwork",
       lambda it: [key for key in ("hostPID", "hostIPC", "hostNetwork") if it.true(key) is True])
policy("pod-volume-kinds", POD, "KSV-0023 C-0048",
       "the pod mounts what restricted forbids", "use configMap, secret, emptyDir, projected or a claim",
       lambda it: [f"{volume.get('name')}: {kind}" for volume in it.items("volumes") for kind in volume
                   if kind != "name" and kind not in VOLUME_KINDS])
policy("pod-not-root", CONTAINER, "CKV_K8S_6 CKV_K8S_23 CKV_K8S_40 KSV-0012 KSV-0020 KSV-0021 KSV-0105 C-0013",
       "the container may run as root", f"set runAsNonRoot and runAsUser {HIGH_USER} or above (Airflow: 50000)",
       lambda it: every(secure(it, "runAsNonRoot") is True, known(secure(it, "runAsUser"), int | float, 0) >= HIGH_USER))
policy("pod-seccomp", CONTAINER, "CKV_K8S_31 KSV-0030 C-0210",
       "the container may use any system call", "set seccompProfile RuntimeDefault",
       lambda it: secure(it, "seccompProfile.type") in ("RuntimeDefault", "Localhost"))
policy("container-drops-all", CONTAINER, "CKV_K8S_28 CKV_K8S_37 KSV-0003 C-0046",
       "the container keeps capabilities", "drop ALL and add none",
       lambda it: every(it.covers("securityContext.capabilities.drop", "ALL"), not it.given("securityContext.capabilities.add")))
policy("container-no-escalation", CONTAINER, "CKV_K8S_16 CKV_K8S_20 CIS-4.2.1 CIS-4.2.5 KSV-0001 KSV-0017 C-0016 C-0057",
       "a process in the container can gain rights", "set allowPrivilegeEscalation to false and remove privileged",
       lambda it: every(it.false("securityContext.allowPrivilegeEscalation", True), it.false("securityContext.privileged")))
policy("container-read-only", CONTAINER, "CKV_K8S_22 KSV-0014 C-0017",
       "an intruder can change the program that runs", "set readOnlyRootFilesystem and mount emptyDir where it must write",
       lambda it: it.true("securityContext.readOnlyRootFilesystem"))
policy("container-requests", CONTAINER, "CKV_K8S_10 CKV_K8S_12 KSV-0015 KSV-0016 C-0004 C-0050",
       "the scheduler cannot tell where the container fits", "give requests of cpu and memory",
       lambda it: it.given("resources.requests.cpu") and it.given("resources.requests.memory"))
policy("container-limits", CONTAINER, "CKV_K8S_11 CKV_K8S_13 KSV-0011 KSV-0018 C-0004 C-0050",
       "the container can starve its node", "give limits of cpu and memory",
       lambda it: it.given("resources.limits.cpu") and it.given("resources.limits.memory"))
policy("container-probes", CONTAINER, "CKV_K8S_8 CKV_K8S_9 C-0018 C-0056",
       "nobody notices when the program hangs", "give livenessProbe and readinessProbe",
       lambda it: not is_app(it) or (it.given("livenessProbe") and it.given("readinessProbe")))
policy("image-not-latest", CONTAINER, "CKV_K8S_14 KSV-0013 C-0075",
       "nobody knows which image will run", "name a tag other than latest, or better a digest",
       lambda it: _pinned(it, tag_will_do=True))
policy("image-by-digest", CONTAINER, "CKV_K8S_43",
       "the image can change under its name", "name the image by its digest (image@sha256:...)",
       lambda it: _pinned(it, tag_will_do=False))
policy("env-no-secrets", CONTAINER, "CKV_K8S_35 CIS-4.4.1",
       "a secret stands readable in the pod's environment", "keep it in a Secret and refer to that",
       lambda it: [f"variable {entry.get('name')}" for entry in it.items("env")
                   if "value" in entry and looks_secret(str(entry.get("name")), entry["value"])])
policy("secrets-as-files", CONTAINER, "CKV_K8S_35 CIS-4.4.1 C-0207",
       "secrets in the environment reach every child process and crash report",
       "mount the Secret and let Airflow read it by AIRFLOW__..._CMD",
       lambda it: [", ".join(names)] if (names := _from_secrets(it)) else [])
policy("workers-hold-no-secrets", POD, "",
       "a task's code can read Airflow's own secrets", "workers need the API server only: remove the Secret from the template",
       lambda it: not (it.pod and it.pod.worker) or not (
           re.search("secretKeyRef|secretRef", str(it.data)) or any(volume.get("secret") for volume in it.items("volumes"))))
# fmt: on


def bound(it: Subject, account: Any) -> Verdict:
    """Whether a RoleBinding of the plan gives the account something to do with a token."""
    subjects = [subject for binding in it.plan.subjects(*BINDINGS) for subject in binding.items("subjects")]
    return any(subject.get("kind") == "ServiceAccount" and subject.get("name") == account for subject in subjects)


def _from_secrets(it: Subject) -> list[str]:
    names = [str(entry.get("name")) for entry in it.items("env") if (entry.get("valueFrom") or {}).get("secretKeyRef")]
    return names + ["all of a Secret by envFrom" for entry in it.items("envFrom") if entry.get("secretRef")]


def _pinned(it: Subject, *, tag_will_do: bool) -> Verdict:
    image = it.at("image", "")
    if image == "" and it.pod and it.pod.worker:
        return True  # the executor gives it the image that the scheduler's variables name
    if not is_known(image):
        return UNKNOWN
    name, _, digest = str(image).partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return digest.startswith("sha256:") or (tag_will_do and tag not in ("", "latest"))
