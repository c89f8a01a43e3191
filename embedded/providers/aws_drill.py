"""Experiment templates and alarms in the embedded AWS provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedded.providers.aws_table import ACCOUNT_ARN, Call, Input, Kind, Values, changeable, fixed, put_again, simple_tags

ALARM = {"AlarmNames": ["{id}"]}
TEMPLATE = {"id": "{id}"}


def _pairs(items: list[Values] | None) -> Values:
    return {item["key"]: item["value"] for item in items or []}


def _listed(values: Values | None) -> list[Values] | None:
    return [{"key": key, "value": value} for key, value in (values or {}).items()] or None


def _action(item: Values) -> Values:
    target = item.get("target")
    return {
        "actionId": item["actionId"],
        "description": item.get("description"),
        "parameters": _pairs(item.get("parameters")) or None,
        "targets": _pairs([target]) if target else None,
        "startAfter": item.get("startAfters"),
    }


def _seen_action(item: Values) -> Values:
    return {
        "actionId": item["actionId"],
        "description": item.get("description"),
        "parameters": _listed(item.get("parameters")),
        "target": next(iter(_listed(item.get("targets")) or []), None),
        "startAfters": item.get("startAfter"),
    }


def _target(item: Values) -> Values:
    return {key: value for key, value in item.items() if key != "name"} | {"resourceTags": _pairs(item.get("resourceTags")) or None}


def _seen_target(item: Values) -> Values:
    return item | {"resourceTags": _listed(item.get("resourceTags"))}


def _by_name(convert: Callable[[Values], Values], back: Callable[[Values], Values], **more: Any) -> Input:
    """A list of named objects in Pulumi, a map by name in AWS."""

    def to_aws(items: list[Values]) -> Any:
        return {item["name"]: {key: value for key, value in convert(item).items() if value is not None} for item in items}

    def to_pulumi(values: Values) -> Any:
        return [
            {"name": name} | {key: value for key, value in back(item).items() if value is not None} for name, item in (values or {}).items()
        ]

    return changeable(to_aws=to_aws, to_pulumi=to_pulumi, **more)


DRILL: dict[str, Kind] = {
    "aws:fis/experimentTemplate:ExperimentTemplate": Kind(
        service="fis",
        create=Call("CreateExperimentTemplate"),
        id="{created.experimentTemplate.id}",
        read=Call("GetExperimentTemplate", TEMPLATE),
        record="experimentTemplate",
        update=Call("UpdateExperimentTemplate", TEMPLATE),
        delete=Call("DeleteExperimentTemplate", TEMPLATE),
        inputs={
            "description": changeable(required=True),
            "roleArn": changeable(required=True),
            "stopConditions": changeable(required=True),
            "actions": _by_name(_action, _seen_action, required=True),
            "targets": _by_name(_target, _seen_target),
        },
        tags=simple_tags(
            "TagResource",
            "UntagResource",
            {"resourceArn": f"arn:aws:fis:{ACCOUNT_ARN}:experiment-template/{{id}}"},
            keys="tagKeys",
            name="tags",
            read="tags",
            form="map",
        ),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        service="cloudwatch",
        create=Call("PutMetricAlarm"),
        id="{name}",
        read=Call("DescribeAlarms", ALARM),
        record="MetricAlarms[0]",
        more=((Call("ListTagsForResource", {"ResourceARN": "{record.AlarmArn}"}), "Tags", "Tags"),),
        update=put_again("PutMetricAlarm"),
        delete=Call("DeleteAlarms", ALARM),
        name="name",
        inputs={"name": fixed("AlarmName")}
        | {
            name: Input(param=param, read=param, on_change="update", required=name in ("comparisonOperator", "evaluationPeriods"))
            for name, param in {
                "alarmDescription": "AlarmDescription",
                "namespace": "Namespace",
                "metricName": "MetricName",
                "statistic": "Statistic",
                "comparisonOperator": "ComparisonOperator",
                "threshold": "Threshold",
                "period": "Period",
                "evaluationPeriods": "EvaluationPeriods",
                "treatMissingData": "TreatMissingData",
            }.items()
        }
        | {
            "dimensions": Input(
                param="Dimensions",
                read="Dimensions",
                on_change="update",
                to_aws=lambda values: [{"Name": name, "Value": value} for name, value in values.items()],
                to_pulumi=lambda items: {item["Name"]: item["Value"] for item in items or []} or None,
                free=True,
            )
        },
        outputs={"arn": "AlarmArn"},
        tags=simple_tags("TagResource", "UntagResource", {"ResourceARN": "{arn}"}),
    ),
}
