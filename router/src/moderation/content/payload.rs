//! What a model is sent of a content: an object, or a tensor for each of its entries.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Number;

use super::Content;
use crate::policy::model::{Sending, TensorShape, Writing};

/// The bytes for a model that is to be sent so.
pub(super) fn write(content: &Content, sending: &Sending) -> Bytes {
    let entries = Entries { content, sending };
    let bytes = match sending.writing {
        Writing::Object => serde_json::to_vec(&entries),
        Writing::Tensors(shape) => serde_json::to_vec(&Request { inputs: Tensors(entries, shape) }),
    };
    bytes.expect("strings and numbers are always JSON").into()
}

struct Entries<'a> {
    content: &'a Content,
    sending: &'a Sending,
}

/// One value that a model is sent.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    Number(&'a Number),
}

impl<'a> Entries<'a> {
    /// Each value by its name; a declared input wins over a field that happens to have its name.
    fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let (content, inputs, names) = (self.content, self.sending.inputs, &self.sending.fields);
        let rating = content.rating.as_ref().filter(|_| inputs.rating);
        let locale = content.locale.as_deref().filter(|_| inputs.locale);
        let r#type = content.r#type.as_deref().filter(|_| inputs.r#type);
        let declared = [
            ("rating", rating.map(Value::Number)),
            ("locale", locale.map(Value::Text)),
            ("type", r#type.map(Value::Text)),
        ];
        let declared = declared.map(|(name, value)| value.map(|value| (name, value)));
        let is_sent = move |name: &str| {
            names.as_ref().is_none_or(|names| names.contains(name))
                && !declared.iter().flatten().any(|(taken, _)| *taken == name)
        };
        let fields = content.fields.0.iter().filter(move |(name, _)| is_sent(name));
        let fields = fields.map(|(name, text)| (name.as_str(), Value::Text(text)));
        fields.chain(declared.into_iter().flatten())
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A request of the Open Inference Protocol with one row.
#[derive(Serialize)]
struct Request<'a> {
    inputs: Tensors<'a>,
}

struct Tensors<'a>(Entries<'a>, TensorShape);

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    shape: &'static [u64],
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    data: [Value<'a>; 1],
}

#[derive(Serialize)]
struct Parameters {
    content_type: &'static str,
}

/// MLServer takes bytes for bytes unless it is told that they are text; others ignore this.
const TEXT: Parameters = Parameters { content_type: "str" };

impl Serialize for Tensors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(entries, shape) = self;
        serializer.collect_seq(entries.iter().map(|(name, value)| {
            let (datatype, parameters) = match value {
                Value::Text(_) => ("BYTES", Some(TEXT)),
                Value::Number(_) => ("FP64", None),
            };
            Tensor { name, shape: shape.dimensions(), datatype, parameters, data: [value] }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::ModelDocument;

    /// What a model with this registration is sent for a review.
    fn sent(registration: &str) -> String {
        let text = r#"{"client": "a", "content_id": "r-1", "rating": 5, "type": "review",
                       "fields": {"text": "hi", "title": "A \"quote\"", "type": "x"}}"#;
        let model = format!(r#"{{"endpoint": {{"sagemaker": "a"}}{registration}}}"#);
        let sending = ModelDocument::parse(&model).unwrap().sending();
        let bytes = Content::parse(text, "body").unwrap().payload(&sending);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_model_gets_the_fields_and_the_inputs_that_it_declared() {
        assert_eq!(sent(""), r#"{"text":"hi","title":"A \"quote\"","type":"x"}"#);
        assert_eq!(
            sent(r#", "inputs": ["rating", "type", "locale"], "fields": ["text"]"#),
            r#"{"text":"hi","rating":5,"type":"review"}"#
        );
        assert_eq!(sent(r#", "fields": ["subject"]"#), "{}");
    }

    #[test]
    fn in_the_v2_protocol_each_is_a_tensor() {
        let v2 = r#", "protocol": "v2", "inputs": ["rating"], "fields": ["text"]"#;
        assert_eq!(
            sent(v2),
            concat!(
                r#"{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","#,
                r#""parameters":{"content_type":"str"},"data":["hi"]},"#,
                r#"{"name":"rating","shape":[1],"datatype":"FP64","data":[5]}]}"#
            )
        );
        let batch = sent(&format!(r#"{v2}, "tensor_shape": [1, 1]"#));
        assert_eq!(batch.matches(r#""shape":[1,1]"#).count(), 2, "{batch}");
    }
}
