//! How an update is to be made: all at once, which is what happens.

use serde_json::{Value, json};

use super::fields::Fields;
use crate::api_error::ApiError;

/// The longest waits, in seconds.
const LONGEST_WAIT: i64 = 3600;

/// The bounds of the time that a whole update may take, in seconds; an update is decided long
/// before the least of them, since a container has three minutes to start.
const EXECUTION_SECONDS: (i64, i64) = (600, 28_800);

/// How traffic moves from what is old to what is new.
#[derive(Clone, Copy)]
enum Routing {
    AllAtOnce,
    Canary,
    Linear,
}

/// SageMaker's words for it.
const ROUTINGS: [(&str, Routing); 3] =
    [("ALL_AT_ONCE", Routing::AllAtOnce), ("CANARY", Routing::Canary), ("LINEAR", Routing::Linear)];

/// Takes a deployment's settings, in the form in which they are described.
pub(super) fn take(fields: &mut Fields) -> Result<Option<Value>, ApiError> {
    let Some(mut deployment) = fields.object("DeploymentConfig")? else {
        return Ok(None);
    };
    let policy = deployment.object("BlueGreenUpdatePolicy")?.map(blue_green).transpose()?;
    deployment.finish()?;
    Ok(policy.map(|policy| json!({"BlueGreenUpdatePolicy": policy})))
}

fn blue_green(mut fields: Fields) -> Result<Value, ApiError> {
    let routing = fields.object("TrafficRoutingConfiguration")?;
    let missing = fields.missing("TrafficRoutingConfiguration");
    let mut policy = json!({"TrafficRoutingConfiguration": routing_of(routing.ok_or(missing)?)?});
    let (least, most) = EXECUTION_SECONDS;
    for (field, least, most) in [
        ("TerminationWaitInSeconds", 0, LONGEST_WAIT),
        ("MaximumExecutionTimeoutInSeconds", least, most),
    ] {
        if let Some(seconds) = fields.integer_within(field, least, most)? {
            policy[field] = seconds.into();
        }
    }
    fields.finish()?;
    Ok(policy)
}

fn routing_of(mut fields: Fields) -> Result<Value, ApiError> {
    let routing = fields.one_of("Type", &ROUTINGS)?.ok_or_else(|| fields.missing("Type"))?;
    let wait = fields.integer_within("WaitIntervalInSeconds", 0, LONGEST_WAIT)?;
    let wait = wait.ok_or_else(|| fields.missing("WaitIntervalInSeconds"))?;
    let Routing::AllAtOnce = routing else {
        return Err(ApiError::validation(
            "CANARY and LINEAR traffic routing are not supported for serverless endpoints; use \
             ALL_AT_ONCE",
        ));
    };
    fields.finish()?;
    Ok(json!({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": wait}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(policy: &Value) -> Result<Option<Value>, ApiError> {
        let given = json!({"DeploymentConfig": policy}).to_string();
        take(&mut Fields::parse(given.as_bytes()).unwrap())
    }

    #[test]
    fn all_at_once_is_taken_and_described_as_it_was_given() {
        let routing = json!({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0});
        let given = json!({"BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 60,
            "MaximumExecutionTimeoutInSeconds": 600,
        }});
        assert_eq!(policy(&given).unwrap(), Some(given));
    }

    #[test]
    fn what_serverless_endpoints_do_not_have_and_what_is_out_of_bounds_is_refused() {
        let routing = |kind: &str| json!({"Type": kind, "WaitIntervalInSeconds": 0});
        for bad in [
            json!({"BlueGreenUpdatePolicy": {}}),
            json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing("CANARY")}}),
            json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing("LINEAR")}}),
            json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing("X")}}),
            json!({"BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing("ALL_AT_ONCE"),
                "MaximumExecutionTimeoutInSeconds": 599,
            }}),
            json!({"RollingUpdatePolicy": {"MaximumBatchSize": {}}}),
            json!({"AutoRollbackConfiguration": {"Alarms": []}}),
        ] {
            assert!(policy(&bad).is_err(), "{bad}");
        }
    }
}
