"""What no stack may be: rules over the planned resources, before anything exists.

A rule is a pure function of the plan; the packages here import no provider, so that `make policy`, the tests and a Pulumi policy pack run
the same ones. `policies.check` is the way in.
"""
