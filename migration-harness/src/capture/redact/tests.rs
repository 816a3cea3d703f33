use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

fn policy(rules: &str) -> Policy {
    Policy::parse(rules, Some(KEY)).unwrap()
}

fn body(policy: &Policy, body: &'static str) -> Option<String> {
    let body = policy.body(&Bytes::from(body), Some("application/json"))?;
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn a_field_becomes_a_token_and_every_other_byte_stays() {
    let policy = policy("[[redact]]\nfield = '/fields/email'\nwith = 'token'");
    let redacted =
        body(&policy, "{ \"fields\" :{\"email\":\"a@b.c\",\"x\": 1.50}, \"email\":\"k\"}").unwrap();
    let token = policy.token(b"a@b.c");
    assert_eq!(
        redacted,
        format!("{{ \"fields\" :{{\"email\":\"{token}\",\"x\": 1.50}}, \"email\":\"k\"}}")
    );
    assert!(token.len() == 24 && token.starts_with("tok_"), "{token}");
}

#[test]
fn a_field_is_found_however_it_is_written_and_as_often_as_it_is_there() {
    let policy = policy("[[redact]]\nfield = '/*/e~1mail'\nwith = 'drop'");
    let written = r#"[{"e/mail": "a"}, {"\u0065\/mail": {"b": [1]}, "e/mail": 2}, "e/mail"]"#;
    let expected = r#"[{"e/mail": null}, {"\u0065\/mail": null, "e/mail": null}, "e/mail"]"#;
    assert_eq!(body(&policy, written).unwrap(), expected);
    let lines = "{\"a\":{\"e/mail\":\"}\\\"\"}}\n{\"a\":{\"e/mail\":\"z\"}}\n";
    assert_eq!(
        body(&policy, lines).unwrap(),
        "{\"a\":{\"e/mail\":null}}\n{\"a\":{\"e/mail\":null}}\n"
    );
}

#[test]
fn the_same_secret_is_the_same_token_in_fields_paths_and_texts() {
    let policy = policy(
        "[[redact]]\nfield = '/email'\nwith = 'token'\n\
         [[redact]]\npattern = '[a-z]+@[a-z.]+'\nwith = 'token'",
    );
    let token = policy.token(b"ann@example.org");
    assert_eq!(
        body(&policy, r#"{"email":"ann\u0040example.org"}"#).unwrap(),
        format!(r#"{{"email":"{token}"}}"#)
    );
    assert_eq!(policy.text("of ann@example.org, to"), format!("of {token}, to"));
    assert_eq!(
        policy.path("/u/ann%40example.org?e=ann%40example.org&x=1"),
        format!("/u/{token}?e={token}&x=1")
    );
    assert_eq!(policy.path("/a%20b?c=%zz&d+e"), "/a%20b?c=%zz&d+e");
}

#[test]
fn what_can_not_be_redacted_is_left_out() {
    let policy = policy("[[redact]]\nfield = '/email'\nwith = 'drop'");
    let call = |request: &'static str, encoding: Option<&str>, is_whole| {
        let mut request = Request { body: request.into(), ..Request::default() };
        let encoding = encoding.map(|it| ("content-encoding".to_owned(), it.to_owned()));
        request.headers = encoding.into_iter().collect();
        let answer = Answer {
            status: 200,
            content_type: None,
            headers: Default::default(),
            body: "{}".into(),
        };
        let mut answer = Ok(answer);
        let done = policy.redact(&mut request, &mut answer, is_whole, 1 << 20);
        assert_eq!(done.is_ok(), answer.is_ok());
        (request.body, answer.is_ok())
    };
    assert_eq!(call(r#"{"email":"a"}"#, None, true), (r#"{"email":null}"#.into(), true));
    assert_eq!(call("email=a", None, true), ("".into(), false));
    assert_eq!(call("", None, true), ("".into(), true));
    assert_eq!(call(r#"{"email":"a"#, None, true), ("".into(), false));
    assert_eq!(call(r#"{"email":"a"}"#, Some("gzip"), true), ("".into(), false));
    assert_eq!(call(r#"{"email":"a"}"#, None, false), ("".into(), false));
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(policy.body(&deep.into(), None), None);
}

#[test]
fn patterns_look_at_what_strings_say_however_they_are_escaped() {
    let policy = policy("[[redact]]\npattern = '[a-z]+@[a-z.]+'\nwith = 'token'");
    let token = policy.token(b"ann@x.org");
    let redacted = body(&policy, r#"{"a\u0040b": "of \u0061nn\u0040x.org\n", "c": "\u0041"}"#);
    let named = policy.token(b"a@b");
    assert_eq!(redacted.unwrap(), format!(r#"{{"{named}": "of {token}\n", "c": "\u0041"}}"#));
    let halved = body(&policy, r#"["\ud83d ann\u0040x.org"]"#).unwrap();
    assert!(halved.ends_with(&format!(" {token}\"]")), "{halved}");
    assert_eq!(body(&policy, r#"{"a": "ann\u0040x.org"#), None, "broken JSON hides it");
    assert_eq!(body(&policy, r#"{"a": "ann@x.org"#), Some(format!(r#"{{"a": "{token}"#)));
}

#[test]
fn forms_are_redacted_as_what_they_say() {
    let rules = "[[redact]]\nfield = '/e-mail'\nwith = 'token'\n\
                 [[redact]]\nfield = '/note'\nwith = 'drop'\n\
                 [[redact]]\npattern = '[a-z]+@[a-z.]+'\nwith = 'token'";
    let policy = policy(rules);
    let form = Some("application/x-www-form-urlencoded; charset=utf-8");
    let body = "a=1&e%2Dmail=x+y%26&note=secret&to=ann%40x.org&b&ann%40x.org";
    let redacted = policy.body(&Bytes::from(body), form).unwrap();
    let (field, ann) = (policy.token(b"x y&"), policy.token(b"ann@x.org"));
    assert_eq!(redacted, format!("a=1&e%2Dmail={field}&note=&to={ann}&b&{ann}"));
}

#[test]
fn json_that_is_called_a_form_is_redacted_as_json() {
    let policy = policy("[[redact]]\nfield = '/email'\nwith = 'drop'");
    let form = Some("application/x-www-form-urlencoded");
    let body = |body: &'static str| policy.body(&body.into(), form);
    assert_eq!(body(r#"{"email":"a"}"#), Some(r#"{"email":null}"#.into()));
    assert_eq!(body(r#"{"email":"a"#), None);
    assert_eq!(body("email=a"), Some("email=".into()));
}

#[test]
fn json_stays_json_under_a_pattern() {
    let policy = policy("[[redact]]\npattern = '[0-9]{4,}'\nwith = 'token'");
    let token = policy.token(b"4111");
    assert_eq!(
        body(&policy, r#"{"card": 4111, "of": "\u0438\u0432 4111", "n": -1.5}"#).unwrap(),
        format!(r#"{{"card": "{token}", "of": "ив {token}", "n": -1.5}}"#)
    );
    assert_eq!(body(&policy, r#"["\u0438"]"#).unwrap(), r#"["\u0438"]"#);
    let across = self::policy("[[redact]]\npattern = '\"n\": [0-9]'\nwith = 'drop'");
    assert_eq!(body(&across, r#"{"a": 1, "n": 2}"#), None);
    assert_eq!(policy.body(&"4111".into(), Some("text/plain")).unwrap(), token);
}

#[test]
fn patterns_look_into_json_and_urls_within_strings() {
    let policy = policy("[[redact]]\npattern = '[a-z]+@[a-z.]+'\nwith = 'token'");
    let token = policy.token(b"ann@x.org");
    let nested = r#"{"body": "{\"a\": \"ann\\u0040x.org\"}", "at": "see /u?e=ann%40x.org&n=5%"}"#;
    let expected =
        format!(r#"{{"body": "{{\"a\": \"{token}\"}}", "at": "see /u?e={token}&n=5%"}}"#);
    assert_eq!(body(&policy, nested).unwrap(), expected);
    let plain = policy.body(&"a=1&e=ann%40x.org 100%".into(), None).unwrap();
    assert_eq!(plain, format!("a=1&e={token} 100%"));
}

#[test]
fn what_is_in_another_encoding_is_no_way_past_a_pattern() {
    let policy = policy("[[redact]]\npattern = '\\w+@[a-z.]+'\nwith = 'drop'");
    let body = |body: &'static [u8], kind| policy.body(&Bytes::from_static(body), Some(kind));
    let latin1 = "text/plain; charset=ISO-8859-1";
    assert_eq!(body(b"ren\xe9@x.org", latin1), None);
    assert_eq!(body(b"to ann@x.org", latin1).unwrap(), "to ");
    assert_eq!(body(b"a\0n\0@\0x\0", "text/plain; charset=\"utf-16\""), None);
    assert_eq!(body(b"[\0\"\0a\0@\0x\0\"\0]\0", "application/json"), None);
}

#[test]
fn every_value_of_a_head_is_redacted() {
    let policy = policy("[[redact]]\npattern = '[a-z+]+@[a-z.]+'\nwith = 'token'");
    let ann = policy.token(b"ann@x.org");
    let headers = [("referer".to_owned(), "http://h/u?e=ann%40x.org".to_owned())].into();
    let content_type = Some("text/plain; of=ann@x.org".to_owned());
    let path = "/u/ann+tag@x.org".to_owned();
    let mut request = Request { path, content_type, headers, ..Request::default() };
    let mut answer = Err("gone".to_owned());
    assert_eq!(policy.redact(&mut request, &mut answer, true, 1 << 20), Ok(()));
    assert_eq!(request.content_type.unwrap(), format!("text/plain; of={ann}"));
    assert_eq!(request.headers["referer"], format!("http://h/u?e={ann}"));
    assert_eq!(request.path, format!("/u/{}", policy.token(b"ann+tag@x.org")));
}

#[test]
fn what_was_redacted_before_stays_as_it_is() {
    let policy = policy(
        "[[redact]]\nfield = '/id'\nwith = 'token'\n[[redact]]\npattern = '[0-9a-z_]{5,}'\nwith = 'token'",
    );
    let once = policy.body(&r#"{"id": "12345678", "t": "number 87654321"}"#.into(), None).unwrap();
    assert_eq!(policy.body(&once, None).unwrap(), once);
    let path = policy.path("/u/87654321");
    assert_eq!(policy.path(&path), path);
    assert_eq!(policy.text(&path[3..]), path[3..]);
}

#[test]
fn a_compressed_answer_is_redacted_as_what_it_holds() {
    use std::io::Write as _;
    let policy = policy("[[redact]]\nfield = '/email'\nwith = 'drop'");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(br#"{"email": "a"}"#).unwrap();
    let headers = [("content-encoding".to_owned(), "gzip".to_owned())].into();
    let body = packed.finish().unwrap().into();
    let mut answer = Ok(Answer { status: 200, content_type: None, headers, body });
    assert_eq!(policy.redact(&mut Request::default(), &mut answer, true, 1 << 20), Ok(()));
    assert_eq!(answer.unwrap().body, r#"{"email": null}"#);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&[b' '; 2000]).unwrap();
    let headers = [("content-encoding".to_owned(), "gzip".to_owned())].into();
    let body = packed.finish().unwrap().into();
    let mut answer = Ok(Answer { status: 200, content_type: None, headers, body });
    let done = policy.redact(&mut Request::default(), &mut answer, true, 1999);
    assert!(done.is_err() && answer.is_err(), "more than may be recorded of a body");
}

#[test]
fn the_rules_of_the_manual_are_followed() {
    let manual = include_str!("../../../../docs/parity-capture.md");
    let rules = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let policy = policy(rules);
    let (ann, bob) = (policy.token(b"ann"), policy.token(b"bob@x.org"));
    let redacted = body(&policy, r#"{"fields": {"email": "ann"}, "card": 1, "to": "bob@x.org"}"#);
    let expected = format!(r#"{{"fields": {{"email": "{ann}"}}, "card": null, "to": "{bob}"}}"#);
    assert_eq!(redacted.unwrap(), expected);
}

#[test]
fn rules_that_are_none_are_all_named() {
    for (rules, reason) in [
        ("", "no [[redact]] rule"),
        ("[[redact]]\nwith = 'drop'", "rule 1: needs either"),
        (
            "[[redact]]\nfield = 'a'\nwith = 'drop'\n[[redact]]\npattern = '('\nwith = 'drop'",
            "rule 2: pattern",
        ),
        ("[[redact]]\npattern = 'a*'\nwith = 'drop'", "everywhere"),
        ("[[redact]]\nfield = '/a'\nwith = 'hash'", "hash"),
        ("[[redact]]\nfeild = '/a'\nwith = 'drop'", "feild"),
    ] {
        let error = Policy::parse(rules, Some(KEY)).unwrap_err();
        assert!(error.contains(reason), "{rules}: {error}");
    }
}

#[test]
fn tokens_need_a_key_that_is_never_shown() {
    let rules = "[[redact]]\nfield = '/a'\nwith = 'token'";
    for bad in
        [None, Some(""), Some("00ff"), Some("0g0102030405060708090a0b0c0d0e0f"), Some(&KEY[1..])]
    {
        let error = Policy::parse(rules, bad).unwrap_err();
        assert!(error.contains("PARITY_REDACTION_KEY") && !error.contains("0102"), "{error}");
    }
    assert!(!format!("{:?}", policy(rules)).contains("0102"));
    assert!(Policy::parse("[[redact]]\nfield = '/a'\nwith = 'drop'", None).is_ok());
}
