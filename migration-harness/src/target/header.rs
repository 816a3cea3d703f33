//! Headers that every request gets, whatever was captured.

use hyper::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};

/// Names and values; those that came from the environment print without their value.
#[derive(Debug, Default)]
pub(crate) struct FixedHeaders {
    headers: Vec<(HeaderName, HeaderValue)>,
    router_key: Option<HeaderValue>,
}

impl FixedHeaders {
    /// Takes `NAME:VALUE`, `NAME=VARIABLE`, and the key of a router, if there is one.
    ///
    /// # Errors
    /// A sentence for the user, when one can't be sent, or would show a secret.
    pub(crate) fn of(
        plain: &[String],
        secret: &[String],
        router_key: Option<&str>,
    ) -> Result<Self, String> {
        let plain = plain.iter().map(|text| parse_plain(text));
        let secret = secret.iter().map(|text| parse_secret(text));
        let key = router_key.map(str::trim).filter(|key| !key.is_empty());
        let key = key.map(|key| secret_value("GATEHOUSE_KEY", &format!("Bearer {key}")));
        Ok(Self {
            headers: plain.chain(secret).collect::<Result<_, _>>()?,
            router_key: key.transpose()?,
        })
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.to_string()).collect();
        names.sort();
        names
    }

    /// The header of a router's key.
    pub(super) fn router_key(&self) -> Option<&HeaderValue> {
        self.router_key.as_ref()
    }

    /// Replaces what is there of the same names.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

fn parse_plain(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("`--header` takes NAME:VALUE")?;
    let header = parse_name(name)?;
    if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(&header) {
        let name = name.trim();
        return Err(format!(
            "everyone sees command lines; put the value into a variable and give `--header-env {name}=VARIABLE`"
        ));
    }
    let value = HeaderValue::from_str(value.trim());
    Ok((header, value.map_err(|_| format!("the value of header `{name}` can't be sent"))?))
}

fn parse_secret(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, variable) = text.split_once('=').ok_or("`--header-env` takes NAME=VARIABLE")?;
    let value = std::env::var(variable);
    let value = value.map_err(|_| format!("the environment variable `{variable}` is not set"))?;
    Ok((parse_name(name)?, secret_value(variable, value.trim())?))
}

fn parse_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name.trim()).map_err(|_| format!("`{name}` is no name of a header"))
}

fn secret_value(variable: &str, value: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(value);
    let mut value = value.map_err(|_| format!("`{variable}` holds what no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_taken_from_the_command_line() {
        let refused = |text: &str| FixedHeaders::of(&[text.to_owned()], &[], None).unwrap_err();
        let error = refused("Authorization: Bearer abc");
        assert!(error.contains("--header-env Authorization=VARIABLE") && !error.contains("abc"));
        assert!(refused("novalue").contains("NAME:VALUE"));
        assert!(refused("a b: c").contains("`a b`"));
        let unset = FixedHeaders::of(&[], &["x=NO_SUCH_VARIABLE".to_owned()], None).unwrap_err();
        assert!(unset.contains("`NO_SUCH_VARIABLE` is not set"));
    }

    #[test]
    fn a_key_prints_without_its_text() {
        let headers = FixedHeaders::of(&[], &[], Some(" top-secret\n")).unwrap();
        assert_eq!(headers.router_key().unwrap(), "Bearer top-secret");
        assert!(!format!("{headers:?}").contains("top-secret"));
    }
}
