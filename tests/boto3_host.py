"""The endpoint host through unmodified boto3: boto3_host.py HOST_URL MODEL_DATA_URL"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

NAME = "boto3-journey"
REVIEW = {"text": "Great beer, will order again. Call me on 555-0100!"}


def main(host_url, model_data_url):
    client = connect("sagemaker", host_url)
    runtime = connect("sagemaker-runtime", host_url)
    create(client, model_data_url)
    wait(client)
    invoke(runtime)
    model_errors(runtime)
    refusals(client, runtime, model_data_url)
    lists(client)
    deleted_model(client, model_data_url)
    delete(client, runtime)


def connect(service, url):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


def create(client, model_data_url):
    model = create_model(client, NAME, model_data_url)
    expect(model["ModelArn"], f"arn:aws:sagemaker:eu-west-1:000000000000:model/{NAME}")
    create_config(client, NAME)
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
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


def create_config(client, name, **variant):
    client.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
                **variant,
            }
        ],
    )


def wait(client):
    client.get_waiter("endpoint_in_service").wait(
        EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    endpoint = client.describe_endpoint(EndpointName=NAME)
    variant = endpoint["ProductionVariants"][0]
    expect(endpoint["EndpointStatus"], "InService")
    expect(variant["CurrentServerlessConfig"]["MaxConcurrency"], 5)
    expect(endpoint["CreationTime"].year >= 2025, True)
    step("endpoint in service")


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
        call = dict(EndpointName=NAME, ContentType=content_type, Body=body)
        error = refused("ModelError", runtime.invoke_endpoint, **call)
        expect(error["OriginalStatusCode"], status)
        expect(error["ResponseMetadata"]["HTTPStatusCode"], 424)
        expect(f"Received client error ({status}) from primary" in error["Error"]["Message"], True)
    step("errors of the container are ModelError with its status")


def refusals(client, runtime, model_data_url):
    taken = refused("ValidationException", create_model, client, NAME, model_data_url)
    expect("Cannot create already existing model" in taken["Error"]["Message"], True)
    missing = refused("ValidationException", client.describe_endpoint, EndpointName="missing")
    expect("Could not find endpoint" in missing["Error"]["Message"], True)
    outside = refused("ValidationException", create_model, client, "outside", "file:///etc")
    expect("--model-root" in outside["Error"]["Message"], True)
    instance = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    refused("ValidationException", create_config, client, NAME + "-2", **instance)
    refused("UnknownOperationException", client.list_training_jobs)
    unknown = dict(EndpointName="missing", Body=b"x")
    refused("ValidationError", runtime.invoke_endpoint, **unknown)
    too_large = dict(EndpointName=NAME, ContentType="text/plain", Body=bytes(8_000_000))
    refused("ValidationError", runtime.invoke_endpoint, **too_large)
    stream = dict(EndpointName=NAME, ContentType="text/plain", Body=b"x")
    refused("ValidationError", runtime.invoke_endpoint_with_response_stream, **stream)
    step("refusals carry AWS's codes")


def lists(client):
    for operation, key, name in [
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
    ]:
        pages = client.get_paginator(operation).paginate(
            NameContains="boto3", PaginationConfig={"PageSize": 1}
        )
        expect(NAME in [item[name] for page in pages for item in page[key]], True)
    step("lists hold what was created")


def deleted_model(client, model_data_url):
    name = NAME + "-deleted"
    create_model(client, name, model_data_url)
    create_config(client, name)
    client.delete_model(ModelName=name)
    call = dict(EndpointName=name, EndpointConfigName=name)
    missing = refused("ValidationException", client.create_endpoint, **call)
    expect("Could not find model" in missing["Error"]["Message"], True)
    client.delete_endpoint_config(EndpointConfigName=name)
    step("an endpoint of a deleted model is refused")


def delete(client, runtime):
    client.delete_endpoint_config(EndpointConfigName=NAME)
    client.delete_endpoint(EndpointName=NAME)
    client.get_waiter("endpoint_deleted").wait(
        EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    client.delete_model(ModelName=NAME)
    refused("ValidationError", runtime.invoke_endpoint, EndpointName=NAME, Body=b"x")
    step("endpoint, endpoint config and model deleted")


def refused(code, call, *arguments, **named):
    """The error's response, after checking that the call fails with that code."""
    try:
        call(*arguments, **named)
    except ClientError as error:
        expect(error.response["Error"]["Code"], code)
        return error.response
    raise AssertionError(f"{code} expected, but the call was accepted")


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{wanted!r} expected, {found!r} found")


def step(words):
    print(f"ok: {words}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (AssertionError, ClientError, WaiterError) as error:
        sys.exit(f"failed: {error}")
