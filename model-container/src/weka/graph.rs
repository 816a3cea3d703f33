//! The objects of a Java serialization stream, and strict access to their fields.

use std::collections::HashSet;

/// An object's number in the order of the stream.
pub(super) type Handle = usize;

/// All objects of a stream.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) roots: Vec<Value>,
}

/// What a handle stands for.
pub(super) enum Node {
    /// Not read to its end yet, or damaged.
    Pending,
    Class(Class),
    String(String),
    Object(Vec<ClassData>),
    Array(Array),
}

/// A class descriptor.
pub(super) struct Class {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) has_annotation: bool,
    pub(super) parent: Option<Handle>,
}

/// One field of a class and the first letter of its type.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: u8,
}

/// An object's share that one class of its hierarchy wrote.
pub(super) struct ClassData {
    pub(super) class: Handle,
    pub(super) fields: Vec<Value>,
    pub(super) annotation: Vec<Content>,
}

/// What a class wrote by itself after its fields.
pub(super) enum Content {
    Block(Vec<u8>),
    Value(Value),
    End,
}

/// The elements of an array.
pub(super) enum Array {
    Ints(Vec<i64>),
    Doubles(Vec<f64>),
    Values(Vec<Value>),
}

/// A field's value.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Null,
    /// Any of Java's integers, or a boolean.
    Int(i64),
    Double(f64),
    Node(Handle),
}

impl Value {
    pub(super) fn as_i64(self) -> i64 {
        if let Self::Int(int) = self { int } else { 0 }
    }

    pub(super) fn as_f64(self) -> f64 {
        if let Self::Double(double) = self { double } else { 0.0 }
    }

    /// What Java gives a field that nobody set.
    fn is_default(self) -> bool {
        match self {
            Self::Null | Self::Int(0) => true,
            Self::Double(double) => double.to_bits() == 0,
            Self::Int(_) | Self::Node(_) => false,
        }
    }
}

impl Graph {
    pub(super) fn add(&mut self, node: Node) -> Handle {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The class behind a handle that is known to be one.
    pub(super) fn class(&self, handle: Handle) -> &Class {
        match &self.nodes[handle] {
            Node::Class(class) => class,
            _ => unreachable!("only handles of classes are kept as such"),
        }
    }

    pub(super) fn string(&self, value: Value) -> Option<&str> {
        match self.node(value)? {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn array(&self, value: Value) -> Option<&Array> {
        match self.node(value)? {
            Node::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The object behind `value`, which must be of exactly the class `class`.
    pub(super) fn object<'g>(&'g self, value: Value, class: &str) -> Result<Object<'g>, String> {
        let name = self.class_name(value).ok_or_else(|| format!("a `{class}` is missing"))?;
        match self.node(value) {
            Some(Node::Object(data)) if name == class => Ok(Object { graph: self, data }),
            _ => Err(format!("`{name}` stands where only `{class}` is scored")),
        }
    }

    /// The name of the class of the object behind `value`.
    pub(super) fn class_name(&self, value: Value) -> Option<&str> {
        match self.node(value)? {
            Node::Object(data) => Some(&self.class(data.last()?.class).name),
            Node::String(_) => Some("java.lang.String"),
            _ => None,
        }
    }

    /// The elements of a `java.util.ArrayList`.
    pub(super) fn list(&self, value: Value) -> Result<Vec<Value>, String> {
        Ok(self.object(value, "java.util.ArrayList")?.contents("java.util.ArrayList")?.1)
    }

    /// The entries of a `HashMap` or one of its children, in the stream's order.
    pub(super) fn map(&self, value: Value) -> Result<Vec<(Value, Value)>, String> {
        let class = self.class_name(value).unwrap_or("java.util.HashMap");
        let map = self.object(value, class)?;
        let (sizes, values) = map.contents("java.util.HashMap")?;
        let expected = sizes.get(4..8).map(|size| [size[0], size[1], size[2], size[3]]);
        if expected.map(|size| 2 * u64::from(u32::from_be_bytes(size))) != Some(values.len() as u64)
        {
            return Err(format!("a `{class}` has not as many entries as it says"));
        }
        Ok(values.chunks_exact(2).map(|entry| (entry[0], entry[1])).collect())
    }

    fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(handle) => self.nodes.get(handle),
            _ => None,
        }
    }
}

/// One object, seen through the classes that it is made of.
pub(super) struct Object<'g> {
    graph: &'g Graph,
    data: &'g [ClassData],
}

impl<'g> Object<'g> {
    /// The fields that `class` declares.
    pub(super) fn fields(&self, class: &str) -> Result<Fields<'g>, String> {
        let data = self.part(class)?;
        let class = self.graph.class(data.class);
        Ok(Fields { graph: self.graph, class, values: &data.fields, taken: HashSet::new() })
    }

    /// The first block and the objects that `class` wrote by itself.
    fn contents(&self, class: &str) -> Result<(&'g [u8], Vec<Value>), String> {
        let mut block: &[u8] = &[];
        let mut values = Vec::new();
        for content in &self.part(class)?.annotation {
            match content {
                Content::Block(bytes) if block.is_empty() => block = bytes,
                Content::Value(value) => values.push(*value),
                _ => return Err(format!("a `{class}` is damaged")),
            }
        }
        Ok((block, values))
    }

    fn part(&self, class: &str) -> Result<&'g ClassData, String> {
        let mut parts = self.data.iter().filter(|data| self.graph.class(data.class).name == class);
        parts.next().ok_or_else(|| format!("an object lacks its class `{class}`"))
    }
}

/// The fields of one class of one object; [`Fields::finish`] refuses those nobody asked for.
pub(super) struct Fields<'g> {
    graph: &'g Graph,
    class: &'g Class,
    values: &'g [Value],
    taken: HashSet<&'g str>,
}

impl<'g> Fields<'g> {
    /// Takes a field's value as it is.
    pub(super) fn value(&mut self, name: &str) -> Result<Value, String> {
        let mut fields = self.class.fields.iter().zip(self.values);
        let (field, value) = fields
            .find(|(field, _)| field.name == name)
            .ok_or_else(|| format!("`{}` has no field `{name}`", self.class.name))?;
        self.taken.insert(&field.name);
        Ok(*value)
    }

    pub(super) fn int(&mut self, name: &str) -> Result<i64, String> {
        match self.value(name)? {
            Value::Int(int) => Ok(int),
            _ => Err(self.wrong(name, "an integer")),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, String> {
        Ok(self.int(name)? != 0)
    }

    pub(super) fn double(&mut self, name: &str) -> Result<f64, String> {
        match self.value(name)? {
            Value::Double(double) => Ok(double),
            _ => Err(self.wrong(name, "a double")),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<&'g str, String> {
        let value = self.value(name)?;
        self.graph.string(value).ok_or_else(|| self.wrong(name, "a string"))
    }

    pub(super) fn doubles(&mut self, name: &str) -> Result<&'g [f64], String> {
        let value = self.value(name)?;
        match self.graph.array(value) {
            Some(Array::Doubles(doubles)) => Ok(doubles),
            _ => Err(self.wrong(name, "an array of doubles")),
        }
    }

    /// Takes a field that must hold an object of exactly the class `class`.
    pub(super) fn object(&mut self, name: &str, class: &str) -> Result<Object<'g>, String> {
        let value = self.value(name)?;
        let found = self.graph.object(value, class);
        found.map_err(|reason| format!("`{}.{name}`: {reason}", self.class.name))
    }

    /// Takes fields that have no say in scoring.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        let known = self.class.fields.iter().map(|field| field.name.as_str());
        self.taken.extend(known.filter(|name| names.contains(name)));
    }

    /// Refuses every field that was not taken and was set to something.
    pub(super) fn finish(self) -> Result<(), String> {
        for (field, value) in self.class.fields.iter().zip(self.values) {
            if !self.taken.contains(field.name.as_str()) && !value.is_default() {
                let (class, name) = (&self.class.name, &field.name);
                return Err(format!("`{class}.{name}` is set, and this reader does not honour it"));
            }
        }
        Ok(())
    }

    fn wrong(&self, name: &str, expected: &str) -> String {
        format!("`{}.{name}` is not {expected}", self.class.name)
    }
}
