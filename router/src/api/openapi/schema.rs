//! The schemas of types that are written as text, or read by hand.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, Object, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::access::grant::Grant;
use crate::moderation::{Cause, Fields};
use crate::outbound::OutboundUrl;
use crate::policy::condition::Condition;
use crate::policy::lock::Lock;
use crate::policy::model::{Endpoint, Inputs, Places, SageMakerEndpoint, TensorShape};
use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;
use crate::policy::subject::Subject;
use crate::problem::{Kind, Problem};
use crate::what_if::Trial;

/// A name, a scope's path and a document's subject, as regular expressions without their ends.
macro_rules! name {
    () => {
        "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
    };
}
macro_rules! scope {
    () => {
        concat!("(platform|industry/", name!(), "|client/", name!(), "(/site/", name!(), ")?)")
    };
}
macro_rules! rule_field {
    () => {
        "(enabled|model|label|direction|review_at|reject_at|on_failure|sample|required|when)"
    };
}

const NAME: &str = concat!("^", name!(), "$");
const SCOPE: &str = concat!("^", scope!(), "$");
const SUBJECT: &str = concat!("^(models/", name!(), "|scopes/", scope!(), ")$");
/// The subjects of models.
pub(super) const MODEL: &str = concat!("^models/", name!(), "$");
/// The subjects of scopes.
pub(super) const SCOPE_SUBJECT: &str = concat!("^scopes/", scope!(), "$");
const GRANT: &str = concat!(
    "^(models|admin|(ingest|read|review):(\\*|",
    name!(),
    ")|options:(\\*|",
    scope!(),
    "))$"
);
const LOCK: &str =
    concat!("^(defaults\\.(decision|deadline_ms|sample)|", name!(), "(\\.", rule_field!(), ")?)$");
const ENDPOINT: &str = concat!(
    "^(arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:endpoint/)?",
    "[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$"
);
const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[^@#\\s]+$";

fn text(pattern: &str, description: &str, example: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.description(Some(description)).examples([json!(example)])
}

/// The schema of a type, under a name.
macro_rules! schema {
    ($($type:ty, $name:literal => $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::from(Schema::from($schema))
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

schema! {
    Name, "Name" => text(
        NAME,
        "A name of a model, client, site, industry or rule: 1 to 63 letters, digits, `-` and `_`, \
         beginning with a letter or digit.",
        "alehouse",
    ).build();
    ScopePath, "ScopePath" => text(
        SCOPE,
        "Where options hang: `platform`, `industry/NAME`, `client/NAME` or \
         `client/NAME/site/NAME`.",
        "client/alehouse",
    ).build();
    Subject, "Subject" => text(
        SUBJECT,
        "A document's place: `models/NAME`, or `scopes/` and a scope's path.",
        "scopes/client/alehouse",
    ).build();
    Grant, "KeyScope" => text(
        GRANT,
        "What a key may do. `ingest:CLIENT`: have contents moderated. `read:CLIENT`: see decisions \
         and effective options. `options:SCOPE`: change that scope and those below its path. \
         `models`: register models. `review:CLIENT`: decide as a person. `admin`: keys and the \
         audit log. CLIENT and SCOPE may be `*`.",
        "ingest:alehouse",
    ).build();
    Lock, "Lock" => text(
        LOCK,
        "A field (`hate.reject_at`), a whole rule (`hate`) or a default (`defaults.deadline_ms`) \
         that no scope below may set.",
        "hate.reject_at",
    ).build();
    Condition, "Condition" => ObjectBuilder::new().schema_type(Type::String)
        .max_length(Some(1024))
        .description(Some(
            "An expression in CEL over `content.type`, `.locale`, `.site`, `.rating`, \
             `.author_id`, `.product_id`, `.content_id`, `content.fields.NAME`, `client` and \
             `scores.RULE`. It is checked when it is written: unknown names, functions and wrong \
             types of operands are refused with their position.",
        ))
        .examples([json!("content.type == 'review' && content.rating <= 2")]).build();
    SageMakerEndpoint, "SageMakerEndpoint" =>
        text(ENDPOINT, "A SageMaker endpoint's name or ARN.", "spam-3").build();
    OutboundUrl, "OutboundUrl" => text(
        URL,
        "An `http://` or `https://` URL, without a user, password or fragment. Link-local and \
         metadata addresses are refused, private ones unless the router was started with \
         `--allow-net`.",
        "https://models.example.com/invocations",
    ).max_length(Some(2048)).format(Some(SchemaFormat::Custom("uri".to_owned()))).build();
    Endpoint, "Endpoint" => AnyOfBuilder::new()
        .description(Some("Where a model answers."))
        .item(place::<SageMakerEndpoint>("sagemaker"))
        .item(place::<OutboundUrl>("http")).build();
    Inputs, "Inputs" => utoipa::openapi::schema::ArrayBuilder::new()
        .description(Some("What a model is sent besides the content's fields."))
        .items(ObjectBuilder::new().schema_type(Type::String)
            .enum_values(Some(["rating", "locale", "type"]))).build();
    TensorShape, "TensorShape" => utoipa::openapi::schema::ArrayBuilder::new()
        .description(Some(
            "The shape of a tensor that holds one value; `[1, 1]` is what Triton wants of a model \
             with a `max_batch_size`. Only for the protocol `v2`.",
        ))
        .items(ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([1])))
        .min_items(Some(1)).max_items(Some(2)).build();
    Places, "Places" => ObjectBuilder::new().min_properties(Some(1)).max_properties(Some(1000))
        .description(Some(
            "For each label the place of its score in the answer, as a JSON Pointer (RFC 6901). \
             The labels are those of `labels`, where both are given.",
        ))
        .property_names(Some(ObjectBuilder::new().schema_type(Type::String)
            .min_length(Some(1)).max_length(Some(200))))
        .examples([json!({"spam": "/predictions/0/p"})])
        .additional_properties(Some(RefOr::T(Schema::from(ObjectBuilder::new()
            .schema_type(Type::String).max_length(Some(500))
            .pattern(Some("^(/([^~]|~[01])*)?$")))))).build();
    Fields, "Fields" => ObjectBuilder::new().min_properties(Some(1))
        .description(Some("The texts by name, at least one; a text may be blank."))
        .examples([json!({"title": "Proper pint", "text": "Best bitter in town."})])
        .additional_properties(Some(RefOr::T(Schema::from(Object::with_type(Type::String))))).build();
    Cause, "Cause" => ObjectBuilder::new().schema_type(Type::String)
        .description(Some(
            "Why a rule has no score: its call's status, `when` where its condition is false, or \
             `certain` where the verdict was so without it.",
        ))
        .enum_values(Some(["timeout", "throttled", "failed", "skipped", "when", "certain"])).build();
    AnyDocument, "Document" => AnyOfBuilder::new()
        .description(Some("The document of a model or of a scope, as it was put."))
        .item(Ref::from_schema_name("ModelDocument"))
        .item(Ref::from_schema_name("ScopeDocument")).build();
    Trial, "Trial" => AnyOfBuilder::new()
        .description(Some("The verdicts on a content, or why there are none."))
        .item(ObjectBuilder::new()
            .property("before", verdict()).required("before")
            .property("after", verdict()).required("after"))
        .item(ObjectBuilder::new()
            .property("error", Ref::from_schema_name("Problem")).required("error")).build();
    Problem, "Problem" => problem();
}

/// A model's document or a scope's, verbatim.
pub(crate) struct AnyDocument;

/// A verdict, or null where the client has no options.
fn verdict() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    AnyOfBuilder::new().item(Ref::from_schema_name("Verdict")).item(null).build().into()
}

/// An object that names one place.
fn place<T: ToSchema>(kind: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .property(kind, Ref::from_schema_name(T::name()))
        .required(kind)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// RFC 9457's object, with the references that there are.
fn problem() -> Object {
    let text =
        |description| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let references =
        text("What callers can act on; stable.").enum_values(Some(Kind::ALL.map(Kind::reference)));
    let status = ObjectBuilder::new().schema_type(Type::Integer);
    ObjectBuilder::new()
        .description(Some("A refusal, as in RFC 9457."))
        .property("type", references)
        .property("title", text("The kind of refusal, for people."))
        .property("status", status.description(Some("The HTTP status.")))
        .property("detail", text("What exactly is wrong this time, for people."))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .build()
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn agrees<T: std::str::FromStr>(pattern: &str, texts: &[&str]) {
        let pattern = Regex::new(pattern).unwrap();
        for text in texts {
            assert_eq!(pattern.is_match(text), text.parse::<T>().is_ok(), "{text}");
        }
    }

    #[test]
    fn the_patterns_match_what_the_router_takes() {
        let long = "x".repeat(64);
        agrees::<Name>(NAME, &["a", "7up", "en-GB", "a_b", "", "-a", "a.b", "a/b", "é", &long]);
        let paths = [
            "platform",
            "industry/beer",
            "client/a",
            "client/a/site/b",
            "",
            "platform/x",
            "industry",
            "client/a/site",
            "client/a/site/b/c",
            "client/-",
            "brand/a",
        ];
        agrees::<ScopePath>(SCOPE, &paths);
        agrees::<Subject>(SUBJECT, &["models/a", "scopes/platform", "models/", "scopes/x", "a"]);
        let grants = [
            "models",
            "admin",
            "ingest:*",
            "read:a",
            "review:a",
            "options:*",
            "options:client/a",
            "options:a",
            "models:a",
            "ingest:",
            "admin:*",
            "write:a",
        ];
        agrees::<Grant>(GRANT, &grants);
    }

    #[test]
    fn the_pattern_of_locks_and_endpoints_takes_what_the_router_takes() {
        let (lock, endpoint) = (Regex::new(LOCK).unwrap(), Regex::new(ENDPOINT).unwrap());
        for text in ["hate", "hate.reject_at", "defaults", "defaults.sample", "hate.x", "", "a.b.c"]
        {
            let is_taken = Lock::try_from(text.to_owned()).is_ok();
            assert_eq!(lock.is_match(text), is_taken, "{text}");
        }
        let arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spam-3";
        for text in ["spam", "a-b", "", "-a", "a_b", arn, "arn:aws:s3:::x", &arn[..50]] {
            let is_taken = SageMakerEndpoint::try_from(text.to_owned()).is_ok();
            assert_eq!(endpoint.is_match(text), is_taken, "{text}");
        }
    }
}
