"""Endpoints through boto3, as one would write it for AWS; nothing but endpoint_url is ours.

boto3_endpoints.py HOST_URL MODEL_DATA_URL [--beyond-aws CAPTURE_URL]

With --beyond-aws it goes on with what AWS leaves out for serverless endpoints: several variants,
a shadow, and data capture to CAPTURE_URL, which the host must be started for.
"""

import argparse
import datetime
import json
import sys

from botocore.exceptions import ClientError, ParamValidationError, WaiterError

import shapes
from clients import connect

NAME = "boto3-journey"
REVIEW = {"text": "Great beer, will order again. Call me on 555-0100!"}
WAITING = {"Delay": 1, "MaxAttempts": 90}


def main():
    arguments = parse_arguments()
    client = connect("sagemaker", arguments.host_url)
    shapes.hold_to(client)
    runtime = connect("sagemaker-runtime", arguments.host_url)
    create(client, arguments.model_data_url)
    wait(client)
    describe(client, arguments.model_data_url)
    invoke(runtime)
    model_errors(runtime)
    refusals(client, runtime, arguments.model_data_url)
    lists(client)
    tags(client)
    update(client, runtime, arguments.model_data_url)
    weights(client)
    deleted_model(client, arguments.model_data_url)
    if arguments.beyond_aws:
        stream(runtime)
        variants(client, runtime)
        shadow_and_capture(client, runtime, arguments.beyond_aws)
    else:
        refused_beyond_aws(client)
    delete(client, runtime)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Endpoints through boto3.")
    parser.add_argument("host_url")
    parser.add_argument("model_data_url")
    parser.add_argument("--beyond-aws", metavar="CAPTURE_URL", help="try what AWS leaves out, too")
    return parser.parse_args()


def create(client, model_data_url):
    model = create_model(client, NAME, model_data_url)
    expect(model["ModelArn"], arn("model", NAME))
    config = create_config(client, NAME, [variant(NAME)])
    expect(config["EndpointConfigArn"], arn("endpoint-config", NAME))
    endpoint = client.create_endpoint(
        EndpointName=NAME, EndpointConfigName=NAME, Tags=[{"Key": "journey", "Value": "boto3"}]
    )
    expect(endpoint["EndpointArn"], arn("endpoint", NAME))
    step("model, endpoint config and endpoint created")


def create_model(client, name, model_data_url, **container):
    return client.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::000000000000:role/any-role",
        PrimaryContainer={
            "Image": "gatehouse/model-container",
            "ModelDataUrl": model_data_url,
            **container,
        },
        Tags=[{"Key": "journey", "Value": "boto3"}],
    )


def variant(model, name="AllTraffic", weight=1.0, **more):
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialVariantWeight": weight,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
        **more,
    }


def create_config(client, name, production, **more):
    return client.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=production, **more
    )


def wait(client, name=NAME):
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=WAITING)


def describe(client, model_data_url):
    endpoint = client.describe_endpoint(EndpointName=NAME)
    expect(endpoint["EndpointStatus"], "InService")
    expect(endpoint["EndpointConfigName"], NAME)
    expect(isinstance(endpoint["LastModifiedTime"], datetime.datetime), True)
    now = datetime.datetime.now(datetime.timezone.utc)
    expect(abs(now - endpoint["CreationTime"]) < datetime.timedelta(minutes=5), True)
    found = endpoint["ProductionVariants"][0]
    expect(found["VariantName"], "AllTraffic")
    expect((found["CurrentWeight"], found["DesiredWeight"]), (1.0, 1.0))
    expect(found["CurrentServerlessConfig"], {"MemorySizeInMB": 1024, "MaxConcurrency": 5})
    expect(found["DeployedImages"][0]["SpecifiedImage"], "gatehouse/model-container")
    expect(isinstance(found["DeployedImages"][0]["ResolutionTime"], datetime.datetime), True)
    config = client.describe_endpoint_config(EndpointConfigName=NAME)
    expect(config["ProductionVariants"], [variant(NAME)])
    model = client.describe_model(ModelName=NAME)
    expect(model["PrimaryContainer"]["ModelDataUrl"], model_data_url)
    step("described as they were created, in service")


def invoke(runtime):
    text = runtime.invoke_endpoint(
        EndpointName=NAME, ContentType="text/plain", Body=REVIEW["text"].encode()
    )
    expect(text["InvokedProductionVariant"], "AllTraffic")
    fields = runtime.invoke_endpoint(
        EndpointName=NAME, ContentType="application/json", Body=json.dumps(REVIEW)
    )
    by_text, by_fields = json.load(text["Body"]), json.load(fields["Body"])
    expect(set(by_text) >= {"label", "score", "scores", "model"}, True)
    expect(by_fields["scores"], by_text["scores"])
    step(f"text and JSON scored alike: {by_text['label']} {by_text['score']}")


def model_errors(runtime):
    for content_type, body, status in [
        ("application/json", b"{}", 422),
        ("application/json", b"{", 400),
        ("application/pdf", b"x", 415),
    ]:
        try:
            runtime.invoke_endpoint(EndpointName=NAME, ContentType=content_type, Body=body)
            raise AssertionError("a body that the model cannot read was taken")
        except runtime.exceptions.ModelError as error:
            response = error.response
        expect(response["OriginalStatusCode"], status)
        expect(response["ResponseMetadata"]["HTTPStatusCode"], 424)
        message = response["Error"]["Message"]
        expect(f"Received client error ({status}) from primary" in message, True)
    step("errors of the container are exceptions.ModelError with its status")


def refusals(client, runtime, model_data_url):
    for words, call, named in [
        ("Could not find endpoint \"", client.describe_endpoint, {"EndpointName": "missing"}),
        ("Could not find endpoint \"", client.delete_endpoint, {"EndpointName": "missing"}),
        ("Could not find model \"", client.describe_model, {"ModelName": "missing"}),
        ("Could not find model \"", client.delete_model, {"ModelName": "missing"}),
        (
            "Could not find endpoint configuration \"",
            client.describe_endpoint_config,
            {"EndpointConfigName": "missing"},
        ),
        (
            "Could not find endpoint configuration \"",
            client.create_endpoint,
            {"EndpointName": "new", "EndpointConfigName": "missing"},
        ),
        (
            "Cannot create already existing endpoint \"",
            client.create_endpoint,
            {"EndpointName": NAME, "EndpointConfigName": NAME},
        ),
        (
            "failed to satisfy constraint: Member must satisfy regular expression pattern",
            client.describe_endpoint,
            {"EndpointName": "under_score"},
        ),
        ("less than or equal to 100", client.list_models, {"MaxResults": 101}),
        ("NextToken", client.list_endpoints, {"NextToken": "another's"}),
    ]:
        message = refused("ValidationException", call, **named)["Error"]["Message"]
        expect(words in message or message, True)
    taken = refused("ValidationException", create_model, client, NAME, model_data_url)
    expect("Cannot create already existing model" in taken["Error"]["Message"], True)
    outside = refused("ValidationException", create_model, client, "outside", "file:///etc")
    expect("--model-root" in outside["Error"]["Message"], True)
    loader = {"Environment": {"LD_PRELOAD": "x.so"}}
    refused("ValidationException", create_model, client, "l", model_data_url, **loader)
    on_instances = variant(NAME, InstanceType="ml.m5.large", InitialInstanceCount=1)
    refused("ValidationException", create_config, client, NAME + "-2", [on_instances])
    unknown = refused("UnknownOperationException", client.list_training_jobs)
    expect("UpdateEndpoint" in unknown["Error"]["Message"], True)
    refused("ValidationError", runtime.invoke_endpoint, EndpointName="missing", Body=b"x")
    too_large = dict(EndpointName=NAME, ContentType="text/plain", Body=bytes(8_000_000))
    refused("ValidationError", runtime.invoke_endpoint, **too_large)
    try:
        client.describe_endpoint()
        raise AssertionError("boto3 knows that the name is required")
    except ParamValidationError:
        pass
    waiter = client.get_waiter("endpoint_in_service")
    try:
        waiter.wait(EndpointName="missing", WaiterConfig=WAITING)
        raise AssertionError("nobody waits for an endpoint that is not there")
    except WaiterError as error:
        expect(error.last_response["Error"]["Code"], "ValidationException")
    step("refusals carry AWS's codes and words")


def lists(client):
    for operation, key, name in [
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
    ]:
        pages = client.get_paginator(operation).paginate(
            NameContains="boto3",
            SortBy="Name",
            SortOrder="Ascending",
            CreationTimeAfter=datetime.datetime(2024, 1, 1),
            PaginationConfig={"PageSize": 1},
        )
        items = [item for page in pages for item in page[key]]
        expect(NAME in [item[name] for item in items], True)
        expect(isinstance(items[0]["CreationTime"], datetime.datetime), True)
    listed = client.list_endpoints(StatusEquals="InService", SortBy="Status")["Endpoints"]
    expect(NAME in [endpoint["EndpointName"] for endpoint in listed], True)
    step("paginators find what was created")


def tags(client):
    for kind in ["model", "endpoint-config", "endpoint"]:
        resource = arn(kind, NAME)
        client.add_tags(ResourceArn=resource, Tags=[{"Key": "team", "Value": "trust + safety"}])
        client.delete_tags(ResourceArn=resource, TagKeys=["journey"])
        pages = client.get_paginator("list_tags").paginate(ResourceArn=resource)
        found = [tag for page in pages for tag in page["Tags"]]
        expect(found, [{"Key": "team", "Value": "trust + safety"}])
    missing = {"ResourceArn": arn("endpoint", "missing")}
    refused("ValidationException", client.list_tags, **missing)
    reserved = {"ResourceArn": arn("endpoint", NAME), "Tags": [{"Key": "aws:x", "Value": ""}]}
    refused("ValidationException", client.add_tags, **reserved)
    step("tags added, listed and deleted")


def update(client, runtime, model_data_url):
    second = NAME + "-2"
    create_model(client, second, model_data_url, Environment={"EDITION": "second"})
    create_config(client, second, [variant(second, name="Second")])
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    updated = client.update_endpoint(
        EndpointName=NAME,
        EndpointConfigName=second,
        DeploymentConfig=policy,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    expect(updated["EndpointArn"], arn("endpoint", NAME))
    endpoint = client.describe_endpoint(EndpointName=NAME)
    if endpoint["EndpointStatus"] == "Updating":
        pending = endpoint["PendingDeploymentSummary"]
        expect(pending["EndpointConfigName"], second)
        expect(isinstance(pending["StartTime"], datetime.datetime), True)
        again = {"EndpointName": NAME, "EndpointConfigName": NAME}
        message = refused("ValidationException", client.update_endpoint, **again)
        expect("Cannot update in-progress endpoint" in message["Error"]["Message"], True)
    wait(client)
    endpoint = client.describe_endpoint(EndpointName=NAME)
    expect(endpoint["EndpointConfigName"], second)
    expect(endpoint["LastDeploymentConfig"], policy)
    answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/plain", Body=b"x")
    expect(answer["InvokedProductionVariant"], "Second")
    canary = {"Type": "CANARY", "WaitIntervalInSeconds": 1}
    call = {
        "EndpointName": NAME,
        "EndpointConfigName": NAME,
        "DeploymentConfig": {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary}},
    }
    refused("ValidationException", client.update_endpoint, **call)
    missing = {"EndpointName": "missing", "EndpointConfigName": NAME}
    refused("ValidationException", client.update_endpoint, **missing)
    step("endpoint updated to another model and variant")


def weights(client):
    size = {"MaxConcurrency": 7, "ProvisionedConcurrency": 1}
    for desired in [{"DesiredWeight": 0.5}, {"ServerlessUpdateConfig": size}]:
        client.update_endpoint_weights_and_capacities(
            EndpointName=NAME,
            DesiredWeightsAndCapacities=[{"VariantName": "Second", **desired}],
        )
        wait(client)
    found = client.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]
    expect(found["CurrentWeight"], 0.5)
    expect(found["CurrentServerlessConfig"], {"MemorySizeInMB": 1024, **size})
    call = {
        "EndpointName": NAME,
        "DesiredWeightsAndCapacities": [{"VariantName": "Third", "DesiredWeight": 1}],
    }
    refused("ValidationException", client.update_endpoint_weights_and_capacities, **call)
    step("weight and size changed")


def deleted_model(client, model_data_url):
    name = NAME + "-deleted"
    create_model(client, name, model_data_url)
    create_config(client, name, [variant(name)])
    client.delete_model(ModelName=name)
    call = dict(EndpointName=name, EndpointConfigName=name)
    missing = refused("ValidationException", client.create_endpoint, **call)
    expect("Could not find model" in missing["Error"]["Message"], True)
    client.delete_endpoint_config(EndpointConfigName=name)
    step("an endpoint of a deleted model is refused")


def refused_beyond_aws(client):
    production = [variant(NAME)]
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://bucket/prefix",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    }
    two = [variant(NAME), variant(NAME, name="Second")]
    shadow = [variant(NAME, name="Shadow")]
    for variants_, more in [
        (production, {"DataCaptureConfig": capture}),
        (production, {"ShadowProductionVariants": shadow}),
        (two, {}),
    ]:
        refused("ValidationException", create_config, client, "beyond", variants_, **more)
    step("capture, shadow and several variants are refused, as on AWS")


def stream(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName=NAME, ContentType="text/plain", Body=b"free prize"
    )
    expect(answer["InvokedProductionVariant"], "Second")
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    expect("scores" in json.loads(b"".join(parts)), True)
    step("an answer came as a stream")


def variants(client, runtime):
    name = NAME + "-variants"
    two = [variant(NAME, name="A", weight=3.0), variant(NAME, name="B", weight=1.0)]
    create_config(client, name, two)
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait(client, name)
    call = dict(EndpointName=name, ContentType="text/plain", Body=b"hello")
    answered = [runtime.invoke_endpoint(**call)["InvokedProductionVariant"] for _ in range(60)]
    expect(answered.count("A") > answered.count("B") > 0, True)
    chosen = runtime.invoke_endpoint(**call, TargetVariant="B")
    expect(chosen["InvokedProductionVariant"], "B")
    refused("ValidationError", runtime.invoke_endpoint, **call, TargetVariant="C")
    only_b = [{"VariantName": "A", "DesiredWeight": 0}, {"VariantName": "B", "DesiredWeight": 1}]
    client.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=only_b
    )
    wait(client, name)
    answered = {runtime.invoke_endpoint(**call)["InvokedProductionVariant"] for _ in range(20)}
    expect(answered, {"B"})
    remove(client, name)
    step("two variants shared the calls by weight")


def shadow_and_capture(client, runtime, capture_url):
    name = NAME + "-shadow"
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": capture_url,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    shadow = [variant(NAME, name="Shadow")]
    create_config(
        client,
        name,
        [variant(NAME, name="Live")],
        ShadowProductionVariants=shadow,
        DataCaptureConfig=capture,
    )
    config = client.describe_endpoint_config(EndpointConfigName=name)
    expect(config["DataCaptureConfig"], capture)
    expect(config["ShadowProductionVariants"], shadow)
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait(client, name)
    endpoint = client.describe_endpoint(EndpointName=name)
    expect(endpoint["DataCaptureConfig"]["CaptureStatus"], "Started")
    expect(endpoint["DataCaptureConfig"]["CurrentSamplingPercentage"], 100)
    expect(endpoint["ShadowProductionVariants"][0]["VariantName"], "Shadow")
    call = dict(EndpointName=name, ContentType="application/json", Body=json.dumps(REVIEW))
    for _ in range(5):
        expect(runtime.invoke_endpoint(**call)["InvokedProductionVariant"], "Live")
    remove(client, name)
    step("a shadow got copies, and calls were captured")


def remove(client, name):
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=WAITING)
    client.delete_endpoint_config(EndpointConfigName=name)


def delete(client, runtime):
    client.delete_endpoint_config(EndpointConfigName=NAME)
    client.delete_endpoint(EndpointName=NAME)
    client.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig=WAITING)
    client.delete_endpoint_config(EndpointConfigName=NAME + "-2")
    for model in [NAME, NAME + "-2"]:
        client.delete_model(ModelName=model)
    refused("ValidationError", runtime.invoke_endpoint, EndpointName=NAME, Body=b"x")
    refused("ValidationException", client.list_tags, ResourceArn=arn("endpoint", NAME))
    for listed in [client.list_models()["Models"], client.list_endpoints()["Endpoints"]]:
        expect(listed, [])
    step("endpoints, endpoint configs and models deleted")


def arn(kind, name):
    return f"arn:aws:sagemaker:eu-west-1:000000000000:{kind}/{name}"


def refused(code, call, *arguments, **named):
    """The error's response, after checking that the call fails with that code."""
    try:
        call(*arguments, **named)
    except ClientError as error:
        expect(error.response["Error"]["Code"], code)
        return error.response
    raise AssertionError(f"{code} expected, but the call was accepted: {arguments} {named}")


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{wanted!r} expected, {found!r} found")


def step(words):
    print(f"ok: {words}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, ClientError, WaiterError) as error:
        sys.exit(f"failed: {error!r}")
