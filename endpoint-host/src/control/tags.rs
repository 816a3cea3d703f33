//! AddTags, ListTags and DeleteTags, and tags that come with a creation.

use serde_json::{Value, json};

use super::fields::Fields;
use super::{Answer, Request};
use crate::api_error::ApiError;
use crate::app::App;
use crate::record::{Record, Tags};
use crate::region::Kind;
use crate::registry::{Registry, Table};

/// The most tags that one resource may have.
const MOST_TAGS: usize = 50;

/// The longest key.
const KEY_CHARS: usize = 128;

/// The longest value.
const VALUE_CHARS: usize = 256;

/// The longest ARN that can be asked for.
const ARN_CHARS: usize = 256;

/// What keys and values may consist of, as AWS words it.
const PATTERN: &str = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)";

/// Adds tags to a resource, in place of those of the same keys, and answers with all that it has.
pub(super) async fn add(mut request: Request<'_>) -> Answer {
    let resource = resource(&mut request.fields)?;
    let missing = request.fields.missing("Tags");
    let added = optional(&mut request.fields)?.ok_or(missing)?;
    request.fields.finish()?;
    let mut together = Ok(Tags::new());
    resource.change(request.app, |tags| together = extend(tags, added)).await?;
    Ok(Some(json!({"Tags": list_of(&together?)})))
}

/// Adds what fits; nothing where it would be too many.
fn extend(tags: &mut Tags, added: Tags) -> Result<Tags, ApiError> {
    let mut together = tags.clone();
    together.extend(added);
    if together.len() > MOST_TAGS {
        let words = format!("a resource has at most {MOST_TAGS} tags, this one would have");
        return Err(ApiError::validation(format!("{words} {}", together.len())));
    }
    tags.clone_from(&together);
    Ok(together)
}

/// Lists the tags of a resource: all of them, since it never has more than fit into one page.
pub(super) fn list(mut request: Request<'_>) -> Answer {
    let resource = resource(&mut request.fields)?;
    let least = i64::try_from(MOST_TAGS).unwrap_or(i64::MAX);
    request.fields.integer_within("MaxResults", least, i64::MAX)?;
    if request.fields.string("NextToken")?.is_some() {
        let words =
            "Invalid NextToken: tags come in one page, so this endpoint host gives out none";
        return Err(ApiError::validation(words));
    }
    request.fields.finish()?;
    let tags = resource.tags(&request.app.registry);
    let tags = tags.ok_or_else(|| resource.not_found())?;
    Ok(Some(json!({"Tags": list_of(&tags)})))
}

/// Deletes tags by their keys; a key that is not there is as good as deleted.
pub(super) async fn delete(mut request: Request<'_>) -> Answer {
    let resource = resource(&mut request.fields)?;
    let missing = request.fields.missing("TagKeys");
    let keys = request.fields.texts("TagKeys")?.ok_or(missing)?;
    if keys.is_empty() {
        return Err(request.fields.too_short("TagKeys", "[]", 1));
    }
    if keys.len() > MOST_TAGS {
        return Err(request.fields.too_long("TagKeys", &keys.len().to_string(), MOST_TAGS));
    }
    request.fields.finish()?;
    let remove = move |tags: &mut Tags| tags.retain(|key, _| !keys.contains(key));
    resource.change(request.app, remove).await?;
    Ok(Some(json!({})))
}

/// The tags that a resource is created with.
pub(super) fn given(fields: &mut Fields) -> Result<Tags, ApiError> {
    Ok(optional(fields)?.unwrap_or_default())
}

fn optional(fields: &mut Fields) -> Result<Option<Tags>, ApiError> {
    let Some(list) = fields.objects("Tags")? else {
        return Ok(None);
    };
    if list.len() > MOST_TAGS {
        return Err(fields.too_long("Tags", &list.len().to_string(), MOST_TAGS));
    }
    let mut tags = Tags::new();
    for tag in list {
        let (key, value) = parse(tag)?;
        if let Some(twice) = tags.get_key_value(&key) {
            return Err(ApiError::validation(format!("tag key `{}` is given twice", twice.0)));
        }
        tags.insert(key, value);
    }
    Ok(Some(tags))
}

fn parse(mut fields: Fields) -> Result<(String, String), ApiError> {
    let key = text(&mut fields, "Key", KEY_CHARS)?;
    if key.is_empty() {
        return Err(fields.too_short("Key", "", 1));
    }
    if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        let words = "keys that begin with aws: are reserved for system use";
        return Err(ApiError::validation(format!("tag key `{key}` is refused: {words}")));
    }
    let value = text(&mut fields, "Value", VALUE_CHARS)?;
    fields.finish()?;
    Ok((key, value))
}

fn text(fields: &mut Fields, field: &str, most: usize) -> Result<String, ApiError> {
    let missing = fields.missing(field);
    let text = fields.text_within(field, most)?.ok_or(missing)?;
    let space = |c: char| c.is_whitespace() && !c.is_control();
    let allowed = |c: char| c.is_alphanumeric() || space(c) || "_.:/=+-@".contains(c);
    if text.chars().all(allowed) {
        return Ok(text);
    }
    Err(fields.mismatch(field, &text, PATTERN))
}

fn list_of(tags: &Tags) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// What is tagged.
struct Resource {
    kind: Kind,
    name: String,
    arn: String,
}

fn resource(fields: &mut Fields) -> Result<Resource, ApiError> {
    let missing = fields.missing("ResourceArn");
    let arn = fields.text_within("ResourceArn", ARN_CHARS)?.ok_or(missing)?;
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", partition, "sagemaker", _, account, path] = parts[..] else {
        return Err(fields.mismatch("ResourceArn", &arn, ARN_PATTERN));
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if !partition.starts_with("aws") || !is_account {
        return Err(fields.mismatch("ResourceArn", &arn, ARN_PATTERN));
    }
    let found = path.split_once('/').and_then(|(part, name)| Some((Kind::of(part)?, name)));
    let Some((kind, name)) = found else {
        return Err(ApiError::validation(format!(
            "resource `{arn}` can't be tagged: this endpoint host has models, endpoint \
             configurations and endpoints"
        )));
    };
    Ok(Resource { kind, name: name.to_owned(), arn: arn.clone() })
}

/// What ARNs look like, as AWS words it.
const ARN_PATTERN: &str = "arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:.+";

impl Resource {
    fn tags(&self, registry: &Registry) -> Option<Tags> {
        match self.kind {
            Kind::Model => self.tags_in(&registry.models),
            Kind::EndpointConfig => self.tags_in(&registry.configs),
            Kind::Endpoint => self.tags_in(&registry.endpoints),
        }
    }

    /// A name of another region or account is none of ours.
    fn tags_in<T: Record>(&self, table: &Table<T>) -> Option<Tags> {
        table.get(&self.name).filter(|record| record.arn() == self.arn)?;
        table.tags(&self.name).map(|tags| Tags::clone(&tags))
    }

    async fn change(
        &self,
        app: &App,
        change: impl FnOnce(&mut Tags) + Send,
    ) -> Result<(), ApiError> {
        let registry = &app.registry;
        self.tags(registry).ok_or_else(|| self.not_found())?;
        let changed = match self.kind {
            Kind::Model => registry.models.tag(&self.name, change).await,
            Kind::EndpointConfig => registry.configs.tag(&self.name, change).await,
            Kind::Endpoint => registry.endpoints.tag(&self.name, change).await,
        };
        match changed.map_err(|error| ApiError::store(&error))? {
            true => Ok(()),
            false => Err(self.not_found()),
        }
    }

    fn not_found(&self) -> ApiError {
        ApiError::validation(format!("Could not find {} \"{}\".", self.kind.words(), self.arn))
    }
}
