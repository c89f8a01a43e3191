"""What `eks:index:Cluster` accepts, and the texts that it makes of its inputs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from embedded.providers.provider import ProviderError

EXEC_VERSION = "client.authentication.k8s.io/v1beta1"
EXACT: dict[str, Any] = {"authenticationMode": "API", "skipDefaultNodeGroup": True}
"""Inputs that must be given, with the only value that is supported."""
OFF = (
    "createOidcProvider",
    "createInstanceRole",
    "fargate",
    "gpu",
    "instanceRoles",
    "roleMappings",
    "userMappings",
    "skipDefaultSecurityGroups",
)
"""Inputs that may be given, but only as absent, false or empty."""
SUPPORTED = {
    *EXACT,
    *OFF,
    "accessEntries",
    "bootstrapSelfManagedAddons",
    "clusterSecurityGroupTags",
    "clusterTags",
    "corednsAddonOptions",
    "deletionProtection",
    "enableConfigMapMutable",
    "enabledClusterLogTypes",
    "encryptionConfigKeyArn",
    "endpointPrivateAccess",
    "endpointPublicAccess",
    "kubeProxyAddonOptions",
    "kubernetesServiceIpAddressRange",
    "name",
    "nodeSecurityGroupTags",
    "privateSubnetIds",
    "providerCredentialOpts",
    "publicAccessCidrs",
    "publicSubnetIds",
    "subnetIds",
    "tags",
    "upgradePolicy",
    "useDefaultVpcCni",
    "version",
    "vpcCniOptions",
    "vpcId",
}
# option of vpcCniOptions to the variable of the aws-node container it sets, and what is set when the option is not given
CNI_VARIABLES: dict[str, tuple[str, str | None]] = {
    "nodePortSupport": ("AWS_VPC_CNI_NODE_PORT_SUPPORT", None),
    "warmEniTarget": ("WARM_ENI_TARGET", "1"),
    "warmIpTarget": ("WARM_IP_TARGET", None),
    "warmPrefixTarget": ("WARM_PREFIX_TARGET", None),
    "enablePrefixDelegation": ("ENABLE_PREFIX_DELEGATION", None),
    "logLevel": ("AWS_VPC_K8S_CNI_LOGLEVEL", "DEBUG"),
    "logFile": ("AWS_VPC_K8S_CNI_LOG_FILE", "/host/var/log/aws-routed-eni/ipamd.log"),
    "vethPrefix": ("AWS_VPC_K8S_CNI_VETHPREFIX", "eni"),
    "eniMtu": ("AWS_VPC_ENI_MTU", "9001"),
    "eniConfigLabelDef": ("ENI_CONFIG_LABEL_DEF", None),
    "pluginLogLevel": ("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", "DEBUG"),
    "pluginLogFile": ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "/var/log/aws-routed-eni/plugin.log"),
    "enablePodEni": ("ENABLE_POD_ENI", "false"),
    "cniConfigureRpfilter": ("AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER", None),
    "cniCustomNetworkCfg": ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "false"),
    "externalSnat": ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "false"),
}
ADDON_OPTIONS = {"enabled", "version", "configurationValues", "resolveConflictsOnCreate", "resolveConflictsOnUpdate"}
CNI_OPTIONS = {"addonVersion", "configurationValues", "enableNetworkPolicy", "disableTcpEarlyDemux", "serviceAccountRoleArn"} | {
    "resolveConflictsOnCreate",
    "resolveConflictsOnUpdate",
}
Inputs = Mapping[str, Any]


def check_inputs(inputs: Inputs) -> None:
    """Refuse, by name, what this component does not do.

    Raises:
        ProviderError: with every refused input.
    """
    wrong = [f"{name} is not supported" for name in sorted(inputs.keys() - SUPPORTED)]
    wrong += [f"{name} must be {value!r}, got {inputs.get(name)!r}" for name, value in EXACT.items() if inputs.get(name) != value]
    wrong += [f"{name} is not supported" for name in OFF if isinstance(inputs.get(name), pulumi.Output) or inputs.get(name)]
    for name, known in (
        ("vpcCniOptions", CNI_OPTIONS | set(CNI_VARIABLES)),
        ("corednsAddonOptions", ADDON_OPTIONS),
        ("kubeProxyAddonOptions", ADDON_OPTIONS),
    ):
        wrong += [f"{name}.{option} is not supported" for option in sorted((inputs.get(name) or {}).keys() - known)]
    if inputs.get("vpcId") is None:
        wrong.append("vpcId is required: the embedded AWS has no default VPC to deploy to")
    if inputs.get("subnetIds") is not None and (inputs.get("publicSubnetIds") is not None or inputs.get("privateSubnetIds") is not None):
        wrong.append("subnetIds excludes publicSubnetIds and privateSubnetIds")
    if inputs.get("publicAccessCidrs") is not None and inputs.get("endpointPublicAccess") is False:
        wrong.append("publicAccessCidrs can only be set when endpointPublicAccess is true")
    if wrong:
        raise ProviderError("the embedded eks:index:Cluster refuses these inputs: " + "; ".join(wrong))


def kubeconfig(name: str, endpoint: str, certificate: str, region: str, credentials: Inputs | None) -> dict[str, Any]:
    """What reaches the cluster: a token from `aws eks get-token`."""
    arguments = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    if credentials and credentials.get("roleArn"):
        arguments += ["--role", credentials["roleArn"]]
    variables = [{"name": "KUBERNETES_EXEC_INFO", "value": f'{{"apiVersion": "{EXEC_VERSION}"}}'}]
    program = {"apiVersion": EXEC_VERSION, "command": "aws", "args": arguments, "env": variables}
    return {
        "apiVersion": "v1",
        "clusters": [{"cluster": {"server": endpoint, "certificate-authority-data": certificate}, "name": "kubernetes"}],
        "contexts": [{"context": {"cluster": "kubernetes", "user": "aws"}, "name": "aws"}],
        "current-context": "aws",
        "kind": "Config",
        "users": [{"name": "aws", "user": {"exec": program}}],
    }


def cni_configuration(options: Inputs) -> dict[str, Any]:
    """Configuration values of the vpc-cni add-on."""
    variables = {
        variable: text_of(options[option]) if options.get(option) else default
        for option, (variable, default) in CNI_VARIABLES.items()
        if options.get(option) or default is not None
    }
    start = {"DISABLE_TCP_EARLY_DEMUX": text_of(bool(options.get("disableTcpEarlyDemux")))}
    config = dict(options.get("configurationValues") or {})
    if options.get("enableNetworkPolicy") is not None:
        config.setdefault("enableNetworkPolicy", text_of(options["enableNetworkPolicy"]))
    given_start = config.get("init") or {}
    config["env"] = variables | (config.get("env") or {})
    config["init"] = given_start | {"env": start | (given_start.get("env") or {})}
    return config


def text_of(value: Any) -> str:
    """A value as an environment variable; numbers arrive as floats."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def json_text(value: Any) -> str | None:
    """An add-on's configuration as AWS takes it, the same for the same values."""
    return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
