//! Headers: which of them may be written down, and what they say.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::HeaderName;

/// What prove who somebody is, and are never written down.
const SECRET: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];

/// A header that may be recorded.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn recordable(name: &str) -> Result<HeaderName, String> {
    let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header's name"))?;
    if SECRET.contains(&header.as_str()) {
        return Err(format!("`{name}` is never recorded: it holds secrets"));
    }
    Ok(header)
}

/// Removes what must not be written down.
pub(crate) fn remove_secrets(headers: &mut BTreeMap<String, String>) {
    headers.retain(|name, _| !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)));
}

/// The values of a header as one.
pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values.map(|it| String::from_utf8_lossy(it.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_recorded() {
        for name in ["Authorization", "cookie", "Set-Cookie", "proxy-authorization", "X-Api-Key"] {
            assert!(recordable(name).unwrap_err().contains("never recorded"));
            let mut headers = [(name.to_owned(), "s3cret".to_owned())].into();
            remove_secrets(&mut headers);
            assert!(headers.is_empty());
        }
        assert_eq!(recordable("X-Client").unwrap(), "x-client");
        assert!(recordable("a b").unwrap_err().contains("no header's name"));
    }
}
