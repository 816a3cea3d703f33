//! Reads a Java serialization stream into a [`Graph`], and refuses every class it is not told of.
//!
//! Nothing is executed, and what is allocated stays in proportion to the bytes at hand, so a
//! hostile stream gets an error. Follows the "Java Object Serialization Specification", chapter 6.

use super::graph::{Array, Class, ClassData, Content, Field, Graph, Handle, Node, Value};

const MAGIC_AND_VERSION: u32 = 0xACED_0005;
const BASE_HANDLE: u32 = 0x7E_0000;
/// How deep objects may nest in one another.
const MAX_DEPTH: usize = 64;
/// Real models have far fewer classes' shares in their objects than one in so many bytes.
const BYTES_PER_PART: usize = 2;
/// How many classes an object's class may extend.
const MAX_PARENTS: usize = 16;

/// Reads the whole stream; classes are looked up in `allowed`.
///
/// # Errors
/// A sentence with the byte offset at which the stream is damaged or not supported.
pub(super) fn parse(bytes: &[u8], allowed: &[&str]) -> Result<Graph, String> {
    let parts_left = bytes.len() / BYTES_PER_PART;
    let mut reader =
        Reader { bytes, at: 0, depth: 0, parts_left, allowed, graph: Graph::default() };
    reader.stream().map_err(|reason| format!("{reason} (at byte {})", reader.at))?;
    Ok(reader.graph)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// How many more shares of objects may be read: one without fields takes no bytes.
    parts_left: usize,
    allowed: &'a [&'a str],
    graph: Graph,
}

impl Reader<'_> {
    fn stream(&mut self) -> Result<(), String> {
        if self.u32()? != MAGIC_AND_VERSION {
            return Err("this is not a Java serialization stream".to_owned());
        }
        while self.at < self.bytes.len() {
            if let Content::Value(value) = self.content()? {
                self.graph.roots.push(value);
            }
        }
        Ok(())
    }

    fn content(&mut self) -> Result<Content, String> {
        let tag = self.u8()?;
        match tag {
            0x77 => {
                let length = usize::from(self.u8()?);
                Ok(Content::Block(self.take(length)?.to_vec()))
            }
            0x7A => {
                let length = self.length()?;
                Ok(Content::Block(self.take(length)?.to_vec()))
            }
            0x78 => Ok(Content::End),
            _ => self.nested(tag).map(Content::Value),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        let tag = self.u8()?;
        self.nested(tag)
    }

    fn nested(&mut self, tag: u8) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("objects nest more than {MAX_DEPTH} deep"));
        }
        let value = self.tagged(tag);
        self.depth -= 1;
        value
    }

    fn tagged(&mut self, tag: u8) -> Result<Value, String> {
        match tag {
            0x70 => Ok(Value::Null),
            0x71 => self.reference().map(Value::Node),
            0x72 => self.new_class().map(Value::Node),
            0x73 => self.object().map(Value::Node),
            0x74 => {
                let length = usize::from(self.u16()?);
                self.string(length).map(Value::Node)
            }
            0x7C => {
                let length = self.long_length()?;
                self.string(length).map(Value::Node)
            }
            0x75 => self.array().map(Value::Node),
            _ => Err(format!("type code {tag:#04x} is damaged or not supported")),
        }
    }

    fn reference(&mut self) -> Result<Handle, String> {
        let handle = self.u32()?.checked_sub(BASE_HANDLE).map(|handle| handle as usize);
        handle
            .filter(|handle| *handle < self.graph.nodes.len())
            .ok_or_else(|| "a reference points at nothing".to_owned())
    }

    fn string(&mut self, length: usize) -> Result<Handle, String> {
        let text = modified_utf8(self.take(length)?)?;
        Ok(self.graph.add(Node::String(text)))
    }

    /// A class descriptor, new or by reference; `None` where there is no superclass.
    fn class(&mut self) -> Result<Option<Handle>, String> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Node(handle) if matches!(self.graph.nodes[handle], Node::Class(_)) => {
                Ok(Some(handle))
            }
            _ => Err("a class descriptor is expected".to_owned()),
        }
    }

    fn new_class(&mut self) -> Result<Handle, String> {
        let name = self.name()?;
        if !self.allowed.contains(&name.as_str()) {
            return Err(format!("class `{name}` is not one that this reader scores with"));
        }
        self.take(8)?;
        let handle = self.graph.add(Node::Pending);
        let flags = self.u8()?;
        if flags & 0x0C != 0 || flags & 0x02 == 0 {
            return Err(format!("class `{name}` is not plainly serializable"));
        }
        let count = usize::from(self.u16()?);
        let fields = (0..count).map(|_| self.field()).collect::<Result<_, _>>()?;
        self.annotation()?;
        let parent = self.class()?;
        self.graph.nodes[handle] =
            Node::Class(Class { name, fields, has_annotation: flags & 1 != 0, parent });
        Ok(handle)
    }

    fn field(&mut self) -> Result<Field, String> {
        let kind = self.u8()?;
        let name = self.name()?;
        if matches!(kind, b'L' | b'[') {
            self.value()?;
        }
        Ok(Field { name, kind })
    }

    fn object(&mut self) -> Result<Handle, String> {
        let class = self.class()?.ok_or("an object without a class")?;
        let handle = self.graph.add(Node::Pending);
        let mut hierarchy = vec![class];
        while let Some(parent) = self.graph.class(hierarchy[hierarchy.len() - 1]).parent {
            hierarchy.push(parent);
            if hierarchy.len() > MAX_PARENTS {
                return Err(format!("a class extends more than {MAX_PARENTS} others"));
            }
        }
        let left = self.parts_left.checked_sub(hierarchy.len());
        self.parts_left = left.ok_or("there are more objects than a model of this size has")?;
        let data = hierarchy.into_iter().rev().map(|class| self.class_data(class));
        self.graph.nodes[handle] = Node::Object(data.collect::<Result<_, _>>()?);
        Ok(handle)
    }

    fn class_data(&mut self, class: Handle) -> Result<ClassData, String> {
        let Class { fields, has_annotation, .. } = self.graph.class(class);
        let has_annotation = *has_annotation;
        let kinds: Vec<u8> = fields.iter().map(|field| field.kind).collect();
        let fields = kinds.into_iter().map(|kind| self.primitive_or_value(kind));
        let fields = fields.collect::<Result<_, _>>()?;
        let annotation = if has_annotation { self.annotation()? } else { Vec::new() };
        Ok(ClassData { class, fields, annotation })
    }

    fn annotation(&mut self) -> Result<Vec<Content>, String> {
        let mut contents = Vec::new();
        loop {
            match self.content()? {
                Content::End => return Ok(contents),
                content => contents.push(content),
            }
        }
    }

    fn array(&mut self) -> Result<Handle, String> {
        let class = self.class()?.ok_or("an array without a class")?;
        let handle = self.graph.add(Node::Pending);
        let kind = self.graph.class(class).name.as_bytes().get(1).copied().unwrap_or_default();
        let length = self.length()?;
        let values = (0..length).map(|_| self.primitive_or_value(kind));
        let array = match kind {
            b'D' | b'F' => Array::Doubles(each(values, Value::as_f64)?),
            b'L' | b'[' => Array::Values(values.collect::<Result<_, _>>()?),
            _ => Array::Ints(each(values, Value::as_i64)?),
        };
        self.graph.nodes[handle] = Node::Array(array);
        Ok(handle)
    }

    fn primitive_or_value(&mut self, kind: u8) -> Result<Value, String> {
        Ok(match kind {
            b'B' => Value::Int(i64::from(self.u8()?.cast_signed())),
            b'Z' => Value::Int(i64::from(self.u8()? != 0)),
            b'C' => Value::Int(i64::from(self.u16()?)),
            b'S' => Value::Int(i64::from(self.u16()?.cast_signed())),
            b'I' => Value::Int(i64::from(self.u32()?.cast_signed())),
            b'J' => Value::Int(self.u64()?.cast_signed()),
            b'F' => Value::Double(f64::from(f32::from_bits(self.u32()?))),
            b'D' => Value::Double(f64::from_bits(self.u64()?)),
            b'L' | b'[' => self.value()?,
            _ => return Err(format!("type `{}` is unknown", char::from(kind))),
        })
    }

    fn name(&mut self) -> Result<String, String> {
        let length = usize::from(self.u16()?);
        modified_utf8(self.take(length)?)
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = u64::from(self.u32()?);
        self.within(length)
    }

    fn long_length(&mut self) -> Result<usize, String> {
        let length = self.u64()?;
        self.within(length)
    }

    /// Every element takes at least a byte, so a length beyond the end is a lie.
    fn within(&self, length: u64) -> Result<usize, String> {
        let left = self.bytes.len() - self.at;
        usize::try_from(length).ok().filter(|length| *length <= left).ok_or_else(too_short)
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let taken = &self.bytes[self.at..end.ok_or_else(too_short)?];
        self.at += length;
        Ok(taken)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.array_of().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array_of().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array_of().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array_of().map(u64::from_be_bytes)
    }
}

fn each<T>(
    values: impl Iterator<Item = Result<Value, String>>,
    convert: fn(Value) -> T,
) -> Result<Vec<T>, String> {
    values.map(|value| value.map(convert)).collect()
}

fn too_short() -> String {
    "the stream ends too early".to_owned()
}

/// Decodes Java's modified UTF-8: UTF-16 units of one to three bytes each.
fn modified_utf8(bytes: &[u8]) -> Result<String, String> {
    let damaged = || "a string is not in modified UTF-8".to_owned();
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let (length, bits) = match first {
            0x00..=0x7F => (0, u16::from(first)),
            0xC0..=0xDF => (1, u16::from(first & 0x1F)),
            0xE0..=0xEF => (2, u16::from(first & 0x0F)),
            _ => return Err(damaged()),
        };
        let (more, after) = tail.split_at_checked(length).ok_or_else(damaged)?;
        if more.iter().any(|byte| byte & 0xC0 != 0x80) {
            return Err(damaged());
        }
        units.push(more.iter().fold(bits, |unit, byte| unit << 6 | u16::from(byte & 0x3F)));
        rest = after;
    }
    String::from_utf16(&units).map_err(|_| "a string has half of a surrogate pair".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = &[0xAC, 0xED, 0, 5];

    fn fault(body: &[u8]) -> String {
        let bytes = [HEADER, body].concat();
        parse(&bytes, &["[I", "[Ljava.lang.Object;"]).err().unwrap()
    }

    #[test]
    fn a_class_that_was_not_allowed_is_refused_by_name() {
        let fault = fault(b"\x73\x72\x00\x09evil.Hook");
        assert!(fault.starts_with("class `evil.Hook` is not one"), "{fault}");
    }

    #[test]
    fn lengths_beyond_the_end_allocate_nothing() {
        let class = b"\x75\x72\x00\x02[I12345678\x02\x00\x00\x78\x70";
        assert!(fault(&[&class[..], &[0x7F, 0xFF, 0xFF, 0xFF]].concat()).contains("too early"));
        assert!(fault(&[0x7C, 0xFF, 0, 0, 0, 0, 0, 0, 0]).contains("too early"));
    }

    #[test]
    fn endless_nesting_is_cut_off() {
        let class =
            b"\x75\x72\x00\x13[Ljava.lang.Object;12345678\x02\x00\x00\x78\x70\x00\x00\x00\x01";
        let nested = b"\x75\x71\x00\x7E\x00\x00\x00\x00\x00\x01".repeat(100_000);
        assert!(fault(&[&class[..], &nested].concat()).contains("nest more than 64 deep"));
    }

    #[test]
    fn objects_that_take_no_bytes_are_counted() {
        let class = |parent: &[u8]| [b"\x72\x00\x02[I12345678\x02\x00\x00\x78", parent].concat();
        let hierarchy = (0..14).fold(class(b"\x70"), |parent, _| class(&parent));
        let object = b"\x73\x71\x00\x7E\x00\x00".repeat(1000);
        assert!(fault(&[hierarchy, object].concat()).contains("more objects than"));
    }

    #[test]
    fn strings_are_read_as_java_wrote_them() {
        assert_eq!(modified_utf8(b"a\xC0\x80\xC3\xA9").unwrap(), "a\0é");
        assert_eq!(modified_utf8(b"\xED\xA0\xBD\xED\xB8\x80").unwrap(), "😀");
        assert!(modified_utf8(b"\xED\xA0\xBD").unwrap_err().contains("surrogate"));
        assert!(modified_utf8(b"\xC3").is_err());
        assert!(modified_utf8(b"\xF0\x9F\x98\x80").is_err());
    }
}
