//! The attributes that a filter was trained on: one text, and the class with its labels.

use std::collections::HashSet;

use super::graph::{Graph, Value};

const NOMINAL: i64 = 1;
const STRING: i64 = 2;

/// The input format of a text classifier.
pub(super) struct Attributes {
    /// Which of the two attributes is the text.
    pub(super) text: usize,
    /// The class's labels, in their order.
    pub(super) labels: Vec<String>,
}

impl Attributes {
    /// Reads an `Instances` that must have one string and one nominal class attribute.
    pub(super) fn read(graph: &Graph, instances: Value) -> Result<Self, String> {
        let object = graph.object(instances, "weka.core.Instances")?;
        let mut fields = object.fields("weka.core.Instances")?;
        let class = fields.int("m_ClassIndex")?;
        let attributes = graph.list(fields.value("m_Attributes")?)?;
        fields.ignore(&["m_Instances", "m_Lines", "m_NamesToAttributeIndices", "m_RelationName"]);
        fields.finish()?;
        let (text, class) = match (attributes.as_slice(), class) {
            ([text, class], 1) => ((0, *text), *class),
            ([class, text], 0) => ((1, *text), *class),
            _ => return Err("the model's input is not one text beside its class".to_owned()),
        };
        let (kind, _) = kind_and_values(graph, text.1)?;
        if kind != STRING {
            return Err("the model's input is not a string attribute".to_owned());
        }
        Ok(Self { text: text.0, labels: labels(graph, class)? })
    }
}

fn labels(graph: &Graph, class: Value) -> Result<Vec<String>, String> {
    let (kind, info) = kind_and_values(graph, class)?;
    if kind != NOMINAL {
        return Err("the model's class is not nominal".to_owned());
    }
    let object = graph.object(info, "weka.core.NominalAttributeInfo")?;
    let mut fields = object.fields("weka.core.NominalAttributeInfo")?;
    let values = graph.list(fields.value("m_Values")?)?;
    fields.ignore(&["m_Hashtable"]);
    fields.finish()?;
    let mut seen = HashSet::new();
    let labels = values.into_iter().map(|value| {
        let label = graph.string(value).ok_or("a label is not a plain string")?;
        // At once: references to one long label would be cheap to write and dear to copy.
        if !seen.insert(label) {
            return Err(format!("the class has the label `{label}` twice"));
        }
        Ok(label.to_owned())
    });
    let labels: Vec<_> = labels.collect::<Result<_, _>>()?;
    if labels.is_empty() {
        return Err("the class has no labels".to_owned());
    }
    Ok(labels)
}

fn kind_and_values(graph: &Graph, attribute: Value) -> Result<(i64, Value), String> {
    let object = graph.object(attribute, "weka.core.Attribute")?;
    let mut fields = object.fields("weka.core.Attribute")?;
    let found = (fields.int("m_Type")?, fields.value("m_AttributeInfo")?);
    fields.ignore(&["m_AttributeMetaInfo", "m_Index", "m_Name", "m_Weight"]);
    fields.finish()?;
    Ok(found)
}
