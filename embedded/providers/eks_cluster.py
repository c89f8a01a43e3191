"""The component behind `eks:index:Cluster`: children, names and inputs as in pulumi-eks 4.4 (`nodejs/eks/cluster/cluster.ts`)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
import urllib.request
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from embedded.providers.eks_inputs import Inputs, cni_configuration, json_text, kubeconfig

HEALTH_TRIES, HEALTH_SECONDS = 60, 5


def _wait_healthy(endpoint: str) -> None:
    trust_all = ssl._create_unverified_context()  # as the real component does: nothing is sent but the question
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust_all))
    for _ in range(HEALTH_TRIES):
        try:
            with opener.open(f"{endpoint}/healthz", timeout=1):
                return
        except OSError:
            threading.Event().wait(HEALTH_SECONDS)


class ServiceRole(pulumi.ComponentResource):
    """A role that an AWS service assumes, with managed policies."""

    def __init__(self, name: str, policy: str, partition: pulumi.Output[str], inputs: Inputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("eks:index:ServiceRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": ["sts:AssumeRole", "sts:TagSession"], "Effect": "Allow", "Principal": {"Service": ["eks.amazonaws.com"]}}
            ],
        }
        description = "Allows EKS to manage clusters on your behalf."
        self.role = aws.iam.Role(
            f"{name}-role", description=description, assume_role_policy=json.dumps(trust), tags=inputs.get("tags"), opts=child
        )
        suffix = hashlib.sha1(f"arn:aws:iam::aws:policy/{policy}".encode()).hexdigest()[:8]
        arn = partition.apply(lambda name: f"arn:{name}:iam::aws:policy/{policy}")
        self.attachment = aws.iam.RolePolicyAttachment(f"{name}-{suffix}", policy_arn=arn, role=cast(Any, self.role), opts=child)
        self.register_outputs({"role": self.role})


class VpcCniAddon(pulumi.ComponentResource):
    """The vpc-cni add-on."""

    def __init__(self, name: str, cluster: aws.eks.Cluster, inputs: Inputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("eks:index:VpcCniAddon", name, None, opts)
        options = inputs.get("vpcCniOptions") or {}
        child = pulumi.ResourceOptions(parent=self)
        configuration = pulumi.Output.from_input(options).apply(lambda known: json_text(cni_configuration(known)))
        self.addon = _addon(name, "vpc-cni", cluster, inputs, options, options.get("addonVersion"), configuration, child)
        self.register_outputs({"addon": self.addon})


def _addon(
    name: str,
    addon: str,
    cluster: aws.eks.Cluster,
    inputs: Inputs,
    options: Inputs,
    version: Any,
    values: Any,
    child: pulumi.ResourceOptions,
) -> aws.eks.Addon:
    if version is None:
        invoke = pulumi.InvokeOptions(parent=child.parent)
        answer = aws.eks.get_addon_version_output(addon_name=addon, kubernetes_version=cluster.version, most_recent=True, opts=invoke)
        version = answer.version
    return aws.eks.Addon(
        name,
        cluster_name=cluster.name,
        addon_name=addon,
        addon_version=version,
        configuration_values=values,
        preserve=True,
        resolve_conflicts_on_create=options.get("resolveConflictsOnCreate") or "OVERWRITE",
        resolve_conflicts_on_update=options.get("resolveConflictsOnUpdate") or "OVERWRITE",
        service_account_role_arn=options.get("serviceAccountRoleArn"),
        tags=inputs.get("tags"),
        opts=child,
    )


class Cluster(pulumi.ComponentResource):
    """The control plane, its role and security groups, the node security group, and the add-ons."""

    def __init__(self, name: str, inputs: Inputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("eks:index:Cluster", name, None, opts)
        self._name, self._inputs, self._child = name, inputs, pulumi.ResourceOptions(parent=self)
        group = self._security_group("eksClusterSecurityGroup", inputs.get("clusterSecurityGroupTags"), {})
        self._rule("eksClusterInternetEgressRule", "Allow internet access.", group, 0, 0, "egress", cidr_blocks=["0.0.0.0/0"])
        subnets = self._subnets()
        cluster = self._control_plane(group, subnets)
        nodes, ingress = self._node_security_group(cluster, group)
        self._addons(cluster)
        config, endpoint = self._kubeconfig(cluster)
        provider = kubernetes.Provider(
            f"{name}-eks-k8s",
            kubeconfig=config.apply(json.dumps),
            enable_config_map_mutable=inputs.get("enableConfigMapMutable"),
            opts=self._child,
        )
        entries = self._access_entries(cluster)
        if not inputs.get("useDefaultVpcCni"):
            opts = pulumi.ResourceOptions(parent=self, depends_on=entries, providers={"kubernetes": provider})
            VpcCniAddon(f"{name}-vpc-cni", cluster, inputs, opts)
        issuer = cluster.identities.apply(lambda found: found[0]["oidcs"][0]["issuer"] if found and found[0]["oidcs"] else "")
        core = {
            "cluster": cluster,
            "clusterSecurityGroup": group,
            "endpoint": endpoint,
            "instanceRoles": [],
            "kubeconfig": config,
            "nodeGroupOptions": {"nodeSecurityGroup": nodes},
            "provider": provider,
            "subnetIds": subnets,
            "vpcId": inputs["vpcId"],
        }
        empty = ("autoModeNodeRoleName", "defaultNodeGroupAsgName", "fargateProfileId", "fargateProfileStatus", "oidcProviderArn")
        self.outputs: dict[str, Any] = dict.fromkeys(empty, "") | {
            "clusterIngressRuleId": ingress.security_group_rule_id,
            "clusterSecurityGroup": group,
            "clusterSecurityGroupId": group.id,
            "core": core,
            "eksCluster": cluster,
            "eksClusterIngressRule": ingress,
            "instanceRoles": [],
            "kubeconfig": config,
            "kubeconfigJson": config.apply(json.dumps),
            "nodeSecurityGroup": nodes,
            "nodeSecurityGroupId": nodes.id,
            "oidcIssuer": issuer.apply(lambda url: (url or "").removeprefix("https://")),
            "oidcProviderUrl": issuer,
        }
        self.register_outputs(self.outputs)

    def _tags(self, logical_name: str, extra: Any, fixed: Any) -> pulumi.Output[dict[str, str]]:
        parts = pulumi.Output.all(fixed, extra, self._inputs.get("tags"))
        return parts.apply(lambda maps: {"Name": logical_name} | {key: value for tags in maps for key, value in (tags or {}).items()})

    def _security_group(self, suffix: str, extra: Any, fixed: Any) -> aws.ec2.SecurityGroup:
        name = f"{self._name}-{suffix}"
        tags = self._tags(name, extra, fixed)
        return aws.ec2.SecurityGroup(name, vpc_id=self._inputs["vpcId"], revoke_rules_on_delete=True, tags=tags, opts=self._child)

    def _rule(
        self, suffix: str, description: str, group: aws.ec2.SecurityGroup, first: int, last: int, way: str = "ingress", /, **other: Any
    ) -> aws.ec2.SecurityGroupRule:
        return aws.ec2.SecurityGroupRule(
            f"{self._name}-{suffix}",
            description=description,
            type=way,
            from_port=first,
            to_port=last,
            protocol="tcp" if last else "-1",
            security_group_id=group.id,
            opts=self._child,
            **other,
        )

    def _subnets(self) -> pulumi.Output[list[str]]:
        given = self._inputs.get("subnetIds")
        if given is not None:
            return pulumi.Output.from_input(given)
        parts = pulumi.Output.all(self._inputs.get("publicSubnetIds"), self._inputs.get("privateSubnetIds"))
        return parts.apply(lambda lists: [subnet for subnets in lists for subnet in subnets or []])

    def _control_plane(self, group: aws.ec2.SecurityGroup, subnets: pulumi.Output[list[str]]) -> aws.eks.Cluster:
        name, inputs = self._name, self._inputs
        partition = aws.get_partition_output(opts=pulumi.InvokeOptions(parent=self)).partition
        role = ServiceRole(f"{name}-eksRole", "AmazonEKSClusterPolicy", partition, inputs, self._child)
        key, services = inputs.get("encryptionConfigKeyArn"), inputs.get("kubernetesServiceIpAddressRange")
        return aws.eks.Cluster(
            f"{name}-eksCluster",
            name=inputs.get("name"),
            role_arn=role.role.arn,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                security_group_ids=[group.id],
                subnet_ids=subnets,
                endpoint_private_access=inputs.get("endpointPrivateAccess"),
                endpoint_public_access=inputs.get("endpointPublicAccess"),
                public_access_cidrs=inputs.get("publicAccessCidrs"),
            ),
            version=inputs.get("version"),
            bootstrap_self_managed_addons=inputs.get("bootstrapSelfManagedAddons", True),
            enabled_cluster_log_types=inputs.get("enabledClusterLogTypes"),
            tags=self._tags(f"{name}-eksCluster", inputs.get("clusterTags"), {}),
            encryption_config=None
            if key is None
            else aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key), resources=["secrets"]
            ),
            kubernetes_network_config=None
            if services is None
            else aws.eks.ClusterKubernetesNetworkConfigArgs(service_ipv4_cidr=services, ip_family="ipv4"),
            access_config=aws.eks.ClusterAccessConfigArgs(authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True),
            upgrade_policy=inputs.get("upgradePolicy"),
            deletion_protection=inputs.get("deletionProtection"),
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"],
                depends_on=[role.role, role.attachment],
            ),
        )

    def _node_security_group(
        self, cluster: aws.eks.Cluster, group: aws.ec2.SecurityGroup
    ) -> tuple[aws.ec2.SecurityGroup, aws.ec2.SecurityGroupRule]:
        owned = cluster.name.apply(lambda name: {f"kubernetes.io/cluster/{name}": "owned"})
        nodes = self._security_group("nodeSecurityGroup", self._inputs.get("nodeSecurityGroupTags"), owned)
        self._rule("eksNodeIngressRule", "Allow nodes to communicate with each other", nodes, 0, 0, self=True)
        kubelets = "Allow worker Kubelets and pods to receive communication from the cluster control plane"
        self._rule("eksNodeClusterIngressRule", kubelets, nodes, 1025, 65535, source_security_group_id=group.id)
        servers = "Allow pods running extension API servers on port 443 to receive communication from cluster control plane"
        self._rule("eksExtApiServerClusterIngressRule", servers, nodes, 443, 443, source_security_group_id=group.id)
        self._rule("eksNodeInternetEgressRule", "Allow internet access.", nodes, 0, 0, "egress", cidr_blocks=["0.0.0.0/0"])
        pods = "Allow pods to communicate with the cluster API Server"
        return nodes, self._rule("eksClusterIngressRule", pods, group, 443, 443, source_security_group_id=nodes.id)

    def _addons(self, cluster: aws.eks.Cluster) -> None:
        proxy, dns = self._inputs.get("kubeProxyAddonOptions") or {}, self._inputs.get("corednsAddonOptions") or {}
        # without a default node group CoreDNS has no node to run on, so it is an add-on only when asked for
        wanted = {"kube-proxy": proxy.get("enabled", True), "coredns": dns.get("enabled") or dns.get("configurationValues")}
        for addon, options in (("kube-proxy", proxy), ("coredns", dns)):
            if wanted[addon]:
                values = pulumi.Output.from_input(options.get("configurationValues")).apply(json_text)
                arguments = (cluster, self._inputs, options, options.get("version"), values, self._child)
                _addon(f"{self._name}-{addon}", addon, *arguments)

    def _kubeconfig(self, cluster: aws.eks.Cluster) -> tuple[pulumi.Output[dict[str, Any]], pulumi.Output[str]]:
        wait = bool(self._inputs.get("endpointPublicAccess")) and not pulumi.runtime.is_dry_run()

        async def reachable(endpoint: str) -> str:
            if wait:
                await asyncio.to_thread(_wait_healthy, endpoint)
            return endpoint

        endpoint: pulumi.Output[str] = cluster.endpoint.apply(reachable)
        facts = pulumi.Output.all(
            cluster.name, endpoint, cluster.certificate_authority, cluster.arn, self._inputs.get("providerCredentialOpts")
        )
        return facts.apply(lambda known: kubeconfig(known[0], known[1], known[2]["data"], known[3].split(":")[3], known[4])), endpoint

    def _access_entries(self, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        entries: list[pulumi.Resource] = []
        for key, entry in (self._inputs.get("accessEntries") or {}).items():
            name = f"{self._name}-{key}"
            resource = aws.eks.AccessEntry(
                name,
                cluster_name=cluster.name,
                principal_arn=entry["principalArn"],
                kubernetes_groups=entry.get("kubernetesGroups"),
                type=entry.get("type"),
                user_name=entry.get("username"),
                tags=entry.get("tags"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
            )
            for policy, association in (entry.get("accessPolicies") or {}).items():
                known = pulumi.Output.from_input(association)
                aws.eks.AccessPolicyAssociation(
                    f"{name}-{policy}",
                    cluster_name=cluster.name,
                    principal_arn=entry["principalArn"],
                    access_scope=known["accessScope"],
                    policy_arn=known["policyArn"],
                    opts=pulumi.ResourceOptions(parent=resource, depends_on=[resource]),
                )
            entries.append(resource)
        return entries
