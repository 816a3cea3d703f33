// Endpoints through the AWS SDK for JavaScript, as one would write it for AWS; nothing but
// `endpoint` is ours.
//
//   node endpoints.mjs HOST_URL MODEL_DATA_URL [--beyond-aws CAPTURE_URL]
//
// With --beyond-aws it also tries what AWS leaves out for serverless endpoints.

import assert from "node:assert/strict";

import {
  AddTagsCommand,
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DeleteTagsCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  ListTrainingJobsCommand,
  SageMakerClient,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
  paginateListEndpointConfigs,
  paginateListEndpoints,
  paginateListModels,
  paginateListTags,
  waitUntilEndpointDeleted,
  waitUntilEndpointInService,
} from "@aws-sdk/client-sagemaker";
import {
  InvokeEndpointCommand,
  InvokeEndpointWithResponseStreamCommand,
  ModelError,
  SageMakerRuntimeClient,
} from "@aws-sdk/client-sagemaker-runtime";

const [endpoint, modelDataUrl, flag, captureUrl] = process.argv.slice(2);
const settings = {
  endpoint,
  region: "eu-west-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
  maxAttempts: 1,
};
const client = new SageMakerClient(settings);
const runtime = new SageMakerRuntimeClient(settings);
const name = "javascript-journey";
const second = `${name}-2`;

const arn = (kind, of) => `arn:aws:sagemaker:eu-west-1:000000000000:${kind}/${of}`;
const send = (command) => client.send(command);
const step = (words) => console.log(`ok: ${words}`);
const waiting = { client, minDelay: 1, maxDelay: 1, maxWaitTime: 90 };

const variant = (VariantName, InitialVariantWeight = 1) => ({
  VariantName,
  ModelName: name,
  InitialVariantWeight,
  ServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 5 },
});

async function refused(code, call, words = "") {
  await assert.rejects(call, (error) => {
    assert.equal(error.name, code);
    assert.match(error.message, new RegExp(words));
    return true;
  });
}

async function main() {
  await create();
  await describe();
  await invoke();
  await tags();
  await lists();
  await update();
  await refusals();
  await (flag === "--beyond-aws" ? beyondAws() : refusedBeyondAws());
  await remove();
}

async function create() {
  const model = await send(
    new CreateModelCommand({
      ModelName: name,
      ExecutionRoleArn: "arn:aws:iam::000000000000:role/any-role",
      PrimaryContainer: { Image: "gatehouse/model-container", ModelDataUrl: modelDataUrl },
      Tags: [{ Key: "journey", Value: "javascript" }],
    }),
  );
  assert.equal(model.ModelArn, arn("model", name));
  await send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: name,
      ProductionVariants: [variant("AllTraffic")],
    }),
  );
  await send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName: name }));
  await waitUntilEndpointInService(waiting, { EndpointName: name });
  step("model, endpoint config and endpoint created, the endpoint in service");
}

async function describe() {
  const found = await send(new DescribeEndpointCommand({ EndpointName: name }));
  assert.equal(found.EndpointStatus, "InService");
  assert.ok(Math.abs(Date.now() - found.CreationTime.getTime()) < 300_000);
  assert.equal(found.ProductionVariants[0].CurrentServerlessConfig.MaxConcurrency, 5);
  assert.ok(found.ProductionVariants[0].DeployedImages[0].ResolutionTime instanceof Date);
  const config = await send(new DescribeEndpointConfigCommand({ EndpointConfigName: name }));
  assert.deepEqual(config.ProductionVariants, [variant("AllTraffic")]);
  const model = await send(new DescribeModelCommand({ ModelName: name }));
  assert.equal(model.PrimaryContainer.ModelDataUrl, modelDataUrl);
  step("described as they were created");
}

async function invoke() {
  const call = { EndpointName: name, ContentType: "text/plain", Body: "free prize" };
  const answer = await runtime.send(new InvokeEndpointCommand(call));
  assert.equal(answer.InvokedProductionVariant, "AllTraffic");
  assert.ok("scores" in JSON.parse(answer.Body.transformToString()));
  const unreadable = { EndpointName: name, ContentType: "application/json", Body: "{}" };
  await assert.rejects(runtime.send(new InvokeEndpointCommand(unreadable)), (error) => {
    assert.ok(error instanceof ModelError);
    assert.equal(error.OriginalStatusCode, 422);
    assert.equal(error.$metadata.httpStatusCode, 424);
    return true;
  });
  step("endpoint invoked, its errors are ModelError");
}

async function tags() {
  const ResourceArn = arn("model", name);
  await send(new AddTagsCommand({ ResourceArn, Tags: [{ Key: "team", Value: "trust" }] }));
  await send(new DeleteTagsCommand({ ResourceArn, TagKeys: ["journey"] }));
  const found = [];
  for await (const page of paginateListTags({ client }, { ResourceArn })) found.push(...page.Tags);
  assert.deepEqual(found, [{ Key: "team", Value: "trust" }]);
  step("tags added, listed and deleted");
}

async function lists() {
  for (const [paginate, list, key] of [
    [paginateListModels, "Models", "ModelName"],
    [paginateListEndpointConfigs, "EndpointConfigs", "EndpointConfigName"],
    [paginateListEndpoints, "Endpoints", "EndpointName"],
  ]) {
    const filter = { NameContains: "java", CreationTimeAfter: new Date(2024, 0), SortBy: "Name" };
    const names = [];
    for await (const page of paginate({ client, pageSize: 1 }, filter)) {
      names.push(...page[list].map((item) => item[key]));
    }
    assert.deepEqual(names, [name]);
  }
  step("paginators find what was created");
}

async function update() {
  await send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: second,
      ProductionVariants: [variant("Second")],
    }),
  );
  await send(new UpdateEndpointCommand({ EndpointName: name, EndpointConfigName: second }));
  await waitUntilEndpointInService(waiting, { EndpointName: name });
  const DesiredWeightsAndCapacities = [{ VariantName: "Second", DesiredWeight: 0.5 }];
  await send(
    new UpdateEndpointWeightsAndCapacitiesCommand({
      EndpointName: name,
      DesiredWeightsAndCapacities,
    }),
  );
  await waitUntilEndpointInService(waiting, { EndpointName: name });
  const found = await send(new DescribeEndpointCommand({ EndpointName: name }));
  assert.equal(found.EndpointConfigName, second);
  assert.equal(found.ProductionVariants[0].CurrentWeight, 0.5);
  step("endpoint updated, its weight changed");
}

async function refusals() {
  const missing = { EndpointName: "missing" };
  await refused("ValidationException", send(new DescribeEndpointCommand(missing)), "Could not find");
  const taken = { EndpointName: name, EndpointConfigName: name };
  await refused("ValidationException", send(new CreateEndpointCommand(taken)), "already existing");
  const unknown = new ListTrainingJobsCommand({});
  await refused("UnknownOperationException", send(unknown), "UpdateEndpoint");
  const call = new InvokeEndpointCommand({ ...missing, Body: "x" });
  await refused("ValidationError", runtime.send(call));
  step("refusals carry AWS's codes");
}

async function refusedBeyondAws() {
  const config = new CreateEndpointConfigCommand({
    EndpointConfigName: `${name}-3`,
    ProductionVariants: [variant("A"), variant("B")],
  });
  await refused("ValidationException", send(config), "exactly one variant");
  step("several variants are refused, as on AWS");
}

async function beyondAws() {
  const call = { EndpointName: name, ContentType: "text/plain", Body: "free prize" };
  const answer = await runtime.send(new InvokeEndpointWithResponseStreamCommand(call));
  const parts = [];
  for await (const event of answer.Body) parts.push(Buffer.from(event.PayloadPart.Bytes));
  assert.ok("scores" in JSON.parse(Buffer.concat(parts).toString()));
  const EndpointConfigName = `${name}-3`;
  const DataCaptureConfig = {
    EnableCapture: true,
    InitialSamplingPercentage: 100,
    DestinationS3Uri: captureUrl,
    CaptureOptions: [{ CaptureMode: "InputAndOutput" }],
  };
  await send(
    new CreateEndpointConfigCommand({
      EndpointConfigName,
      ProductionVariants: [variant("Live")],
      ShadowProductionVariants: [variant("Shadow")],
      DataCaptureConfig,
    }),
  );
  const found = await send(new DescribeEndpointConfigCommand({ EndpointConfigName }));
  assert.deepEqual(found.DataCaptureConfig, DataCaptureConfig);
  assert.equal(found.ShadowProductionVariants[0].VariantName, "Shadow");
  await send(new DeleteEndpointConfigCommand({ EndpointConfigName }));
  step("an answer as a stream, a shadow and data capture");
}

async function remove() {
  await send(new DeleteEndpointCommand({ EndpointName: name }));
  await waitUntilEndpointDeleted(waiting, { EndpointName: name });
  for (const EndpointConfigName of [name, second]) {
    await send(new DeleteEndpointConfigCommand({ EndpointConfigName }));
  }
  await send(new DeleteModelCommand({ ModelName: name }));
  step("endpoint, endpoint configs and model deleted");
}

await main();
