"""Holds every answer of the control plane to the shape that AWS publishes for it.

boto3 passes over members that it does not know and over ones that are missing; other clients don't.
"""

import json

KINDS = {"string": str, "boolean": bool, "integer": int, "long": int, "float": (int, float), "timestamp": (int, float)}


def hold_to(client):
    """Raises from the call whose answer does not fit its shape."""
    client.meta.events.register("before-parse.sagemaker", check)


def check(operation_model, response_dict, **_):
    if response_dict["status_code"] != 200:
        return
    output, body = operation_model.output_shape, response_dict["body"]
    if output is None:
        faults = [f"a body where AWS sends none: {body[:80]}"] if body else []
    else:
        faults = list(faults_of(json.loads(body), output, operation_model.name))
    if faults:
        raise AssertionError("; ".join(faults))


def faults_of(value, shape, path):
    if shape.type_name == "structure":
        yield from structure_faults(value, shape, path)
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from faults_of(item, shape.member, f"{path}[{number}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from faults_of(item, shape.value, f"{path}.{key}")
    elif not isinstance(value, KINDS[shape.type_name]):
        yield f"{path} is {value!r}, not a {shape.type_name}"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is {value!r}, not one of {shape.enum}"


def structure_faults(value, shape, path):
    if not isinstance(value, dict):
        yield f"{path} is {value!r}, not a structure"
        return
    yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
    for name, member in value.items():
        if name in shape.members:
            yield from faults_of(member, shape.members[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is not in AWS's model"
