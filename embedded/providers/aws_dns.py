"""DNS records in the embedded AWS provider. Zones are somebody else's: tests make them."""

from __future__ import annotations

from embedded.providers.aws_table import Context, Input, Kind, Values


def _change(context: Context, action: str) -> Values:
    values = [{"Value": value} for value in context["records"]]
    record = {"Name": context["name"], "Type": context["type"], "TTL": int(context["ttl"]), "ResourceRecords": values}
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    context.ask("route53", "ChangeResourceRecordSets", {"HostedZoneId": context["zoneId"], "ChangeBatch": batch})
    return {}


def read_record(context: Context) -> Values | None:
    """The record as its zone lists it."""
    listed = context.ask("route53", "ListResourceRecordSets", {"HostedZoneId": context["zoneId"]})["ResourceRecordSets"]
    wanted = (context["name"].rstrip("."), context["type"])
    return next((item | {"name": wanted[0]} for item in listed if (item["Name"].rstrip("."), item["Type"]) == wanted), None)


DNS: dict[str, Kind] = {
    "aws:route53/record:Record": Kind(
        service="route53",
        create=lambda context: _change(context, "CREATE"),  # refuses a name that somebody else has, as the real provider does
        id="{zoneId}_{name}_{type}",
        read=read_record,
        update=lambda context: _change(context, "UPSERT"),
        delete=lambda context: _change(context, "DELETE") and None,
        inputs={
            "zoneId": Input(required=True),
            "name": Input(read="name", required=True),
            "type": Input(read="Type", required=True),
            "ttl": Input(read="TTL", on_change="update", required=True),
            "records": Input(read="ResourceRecords[].Value", on_change="update", required=True),
        },
        outputs={"fqdn": "name"},
    ),
}
