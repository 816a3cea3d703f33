"""Calls, streams and models from S3 through unmodified boto3: boto3_runtime.py HOST_URL S3_URL MODEL_FOLDER

S3 is any server that takes its protocol; the host must have been started with the same.
"""

import io
import json
import sys
import tarfile
import time

from botocore.exceptions import ClientError

from clients import connect

BUCKET = "models"


def main(host_url, s3_url, model_folder):
    s3 = connect("s3", s3_url)
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    s3.put_object(Bucket=BUCKET, Key="spam/model.tar.gz", Body=packed(model_folder))
    s3.put_object(Bucket=BUCKET, Key="cut/model.tar.gz", Body=packed(model_folder)[:-20])
    client = connect("sagemaker", host_url)
    runtime = connect("sagemaker-runtime", host_url)
    answers(client, runtime)
    streams(runtime)
    for name, url, words in [
        ("missing", f"s3://{BUCKET}/none/model.tar.gz", "there is no such object"),
        ("nowhere", "s3://no-such-bucket/model.tar.gz", "there is no such bucket"),
        ("cut", f"s3://{BUCKET}/cut/model.tar.gz", "cannot unpack"),
    ]:
        endpoint = settled(client, name, url)
        assert endpoint["EndpointStatus"] == "Failed", endpoint
        assert url in endpoint["FailureReason"] and words in endpoint["FailureReason"], endpoint


def packed(folder):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return archive.getvalue()


def settled(client, name, url):
    client.create_model(
        ModelName=name,
        PrimaryContainer={"Image": "gatehouse/model-container", "ModelDataUrl": url},
        ExecutionRoleArn="arn:aws:iam::000000000000:role/any",
    )
    size = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    variant = {"VariantName": "all", "ModelName": name, "ServerlessConfig": size}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    deadline = time.monotonic() + 60
    while True:
        endpoint = client.describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] != "Creating" or time.monotonic() > deadline:
            return endpoint
        time.sleep(0.05)


def answers(client, runtime):
    endpoint = settled(client, "spam", f"s3://{BUCKET}/spam/model.tar.gz")
    assert endpoint["EndpointStatus"] == "InService", endpoint
    answer = runtime.invoke_endpoint(
        EndpointName="spam",
        ContentType="application/json",
        CustomAttributes="trace=7",
        InferenceId="r-1001",
        TargetVariant="all",
        Body=json.dumps({"text": "Great beer"}),
    )
    assert answer["InvokedProductionVariant"] == "all", answer
    assert "scores" in json.loads(answer["Body"].read()), answer


def streams(runtime):
    def stream(body, **more):
        return runtime.invoke_endpoint_with_response_stream(
            EndpointName="spam", ContentType="application/jsonlines", Body=body, **more
        )

    lines = "".join(json.dumps({"text": f"beer {number}"}) + "\n" for number in range(500))
    answer = stream(lines, Accept="application/jsonlines")
    assert answer["InvokedProductionVariant"] == "all", answer
    assert "json" in answer["ContentType"], answer
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert len(b"".join(parts).splitlines()) == 500
    try:
        runtime.invoke_endpoint_with_response_stream(
            EndpointName="spam", ContentType="application/json", Body="{"
        )
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ModelError", error.response
        assert error.response["OriginalStatusCode"] == 400, error.response
    else:
        raise AssertionError("a malformed call was scored")


main(*sys.argv[1:])
