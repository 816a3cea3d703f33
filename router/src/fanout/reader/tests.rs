use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// Labels and scores of an answer of tensors, as `ham=0.1 spam=0.9`.
fn tensors(labels: &[&str], outputs: &str) -> Result<String, String> {
    let body = format!(r#"{{"model_name": "m", "model_version": "3", "outputs": [{outputs}]}}"#);
    let reading = Form::Tensors(labels.to_vec()).read(body.as_bytes())?;
    assert_eq!(reading.version.as_deref(), Some("3"));
    Ok(shown(&reading.scores))
}

fn shown(scores: &Scores) -> String {
    let valid = scores.valid.iter().map(|(label, score)| (label, format!("{label}={score}")));
    let invalid = scores.invalid.iter().map(|label| (label, format!("{label}=?")));
    let shown: BTreeMap<_, _> = valid.chain(invalid).collect();
    shown.into_values().collect::<Vec<_>>().join(" ")
}

/// A tensor of these numbers or texts.
fn tensor(name: &str, datatype: &str, data: &[&str]) -> String {
    let (length, data) = (data.len(), data.join(","));
    format!(
        r#"{{"name": "{name}", "datatype": "{datatype}", "shape": [1, {length}], "data": [{data}]}}"#
    )
}

#[test]
fn our_own_container_names_its_scores_itself() {
    let outputs = r#"{"name": "label", "datatype": "BYTES", "shape": [1], "data": ["spam"]},
        {"name": "score", "datatype": "FP64", "shape": [1], "data": [0.9]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 2],
         "parameters": {"labels": "[\"ham\",\"spam\"]"}, "data": [0.1, 0.9]}"#;
    for registered in [&[][..], &["ham", "spam"], &["spam", "ham"], &["cat", "dog"]] {
        assert_eq!(tensors(registered, outputs).unwrap(), "ham=0.1 spam=0.9");
    }
}

#[test]
fn probabilities_of_a_classifier_have_the_names_registered() {
    let predicted = tensor("label", "INT64", &["1"]);
    let outputs = format!("{predicted}, {}", tensor("probabilities", "FP32", &["0.25", "0.75"]));
    assert_eq!(tensors(&["ham", "spam"], &outputs).unwrap(), "ham=0.25 spam=0.75");
    assert!(tensors(&[], &outputs).unwrap_err().contains("register the labels"));
    assert!(tensors(&["a", "b", "c"], &outputs).unwrap_err().contains("each label registered"));
    let nested = r#"{"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [[0.25, 0.75]]}"#;
    assert_eq!(tensors(&["ham", "spam"], nested).unwrap(), "ham=0.25 spam=0.75");
    let one = tensor("output-0", "FP32", &["0.75"]);
    assert!(tensors(&["spam"], &one).unwrap_err().contains("each label registered"));
}

#[test]
fn what_kserve_and_mlserver_leave_empty_is_no_matter() {
    let kserve = r#"{"model_name":"spam","model_version":null,"id":"1","parameters":null,
        "outputs":[{"name":"output-0","shape":[1,2],"datatype":"FP64","parameters":null,
                    "data":[0.25,0.75]}]}"#;
    let mlserver = r#"{"model_name":"spam","model_version":"v9","id":"1","parameters":{},
        "outputs":[{"name":"predict_proba","shape":[1,2],"datatype":"FP64",
                    "parameters":{"content_type":"np"},"data":[0.25,0.75]}]}"#;
    for (answer, version) in [(kserve, None), (mlserver, Some("v9"))] {
        let reading = Form::Tensors(vec!["ham", "spam"]).read(answer.as_bytes()).unwrap();
        assert_eq!(shown(&reading.scores), "ham=0.25 spam=0.75");
        assert_eq!(reading.version.as_deref(), version);
    }
}

#[test]
fn texts_name_as_many_scores_whatever_is_registered() {
    let texts = tensor("classes", "BYTES", &[r#""spam""#, r#""ham""#]);
    let outputs = format!("{texts}, {}", tensor("p", "FP32", &["0.75", "0.25"]));
    for registered in [&[][..], &["ham", "spam"], &["cat", "dog"]] {
        assert_eq!(tensors(registered, &outputs).unwrap(), "ham=0.25 spam=0.75");
    }
}

#[test]
fn a_tensor_may_be_one_label() {
    let outputs = [tensor("spam", "FP32", &["0.75"]), tensor("hate", "FP32", &["0.5"])].join(",");
    assert_eq!(tensors(&[], &outputs).unwrap(), "hate=0.5 spam=0.75");
    assert_eq!(tensors(&["spam"], &outputs).unwrap(), "spam=0.75");
    assert!(tensors(&["spam", "eggs"], &outputs).unwrap_err().contains("each label registered"));
}

#[test]
fn what_may_be_one_thing_or_another_is_neither() {
    let two = [tensor("a", "FP32", &["0", "1"]), tensor("b", "FP32", &["1", "0"])].join(",");
    assert!(tensors(&["ham", "spam"], &two).unwrap_err().contains("register where they stand"));
    let twice = [tensor("spam", "FP32", &["0"]), tensor("spam", "FP32", &["1"])].join(",");
    assert!(tensors(&[], &twice).unwrap_err().contains("two outputs have one name"));
    let same = tensor("classes", "BYTES", &[r#""spam""#, r#""spam""#]);
    let same = format!("{same}, {}", tensor("p", "FP32", &["0", "1"]));
    assert!(tensors(&[], &same).unwrap_err().contains("one name for each"));
}

#[test]
fn tensors_that_are_not_what_they_say_are_refused() {
    for (outputs, fault) in [
        ("", "no output has scores"),
        ("5", "no datatype"),
        (r#"{"name": "p", "shape": [1], "data": [0]}"#, "no datatype"),
        (r#"{"datatype": "FP32", "shape": [1], "data": [0]}"#, "no name"),
        (r#"{"name": "p", "datatype": "FP32", "shape": [2], "data": [0]}"#, "its shape"),
        (r#"{"name": "p", "datatype": "FP32", "shape": [1]}"#, "its shape"),
        (r#"{"name": "p", "datatype": "FP32", "data": [0]}"#, "its shape"),
        (r#"{"name": "p", "datatype": "FP32", "shape": [-1], "data": [0]}"#, "its shape"),
        (
            r#"{"name": "p", "datatype": "FP32", "shape": [4294967296, 4294967296], "data": []}"#,
            "its shape",
        ),
    ] {
        let found = tensors(&[], outputs).unwrap_err();
        assert!(found.contains(fault), "{outputs}: {found}");
    }
    for odd in ["null", r#""0.5""#, "1.5", "{}"] {
        assert_eq!(tensors(&[], &tensor("spam", "FP32", &[odd])).unwrap(), "spam=?", "{odd}");
    }
}

#[test]
fn scores_are_found_at_their_places() {
    let form = Form::Places(vec![("ham", "/p/0/h~1m"), ("spam", "/p/0/s"), ("eggs", "/p/1/e")]);
    let reading = form.read(br#"{"p": [{"h/m": 0.25, "s": "0.75"}], "model_version": 4}"#).unwrap();
    assert_eq!(shown(&reading.scores), "ham=0.25 spam=?");
    assert_eq!(reading.version.as_deref(), Some("4"));
    assert_eq!(shown(&Form::Places(vec![("spam", "")]).read(b"0.5").unwrap().scores), "spam=0.5");
    assert_eq!(shown(&Form::Places(vec![("spam", "/0")]).read(b"[1]").unwrap().scores), "spam=1");
}

/// Each of the forms, for an answer that suits all of them.
fn forms() -> [Form<'static>; 3] {
    [Form::Own, Form::Tensors(vec!["spam"]), Form::Places(vec![("spam", "/scores/spam")])]
}

fn suiting(rest: &str) -> String {
    let output = tensor("spam", "FP64", &["0"]);
    format!(r#"{{"scores": {{"spam": 0}}, "outputs": [{output}]{rest}}}"#)
}

const ODD: [&str; 16] = [
    r#" {"label": "spam", "scores": {"ham": 0.125, "spam": 1}, "model": {"version": "3"}}"#,
    r#"{"scores": {"\u0061": 0, "\ud83d\ude00é": "\n", "": null}, "model": {"version": "\u0033"}}"#,
    r#"{"sc\u006fres": {"a": -0.0}, "model": {"ver\u0073ion": -0, "digest": "sha\/256:"}}"#,
    r#"{"model": {"version": 1, "version": 2e2, "digest": "a", "digest": null}, "scores": {}}"#,
    r#"{"model": {"version": 18446744073709551616}, "scores": {"a": 1e-400, "b": 5E-1}}"#,
    r#"{"model": [{"version": 1}], "scores": {"a": [0, {"b": 1e999}]}, "error": -0.0}"#,
    r#"{"model": "m", "scores": {"a": 0.1, "b": {"a": 1, "a": 2}}, "error": {"error": null}}"#,
    r#"{"model": {"x": [[], {}, {"y": 1e999}]}, "scores": {"a": 0}}"#,
    r#"{"model": {"x": "\ud800"}, "scores": {"a": 0}}"#,
    r#"{"label": "\ud800", "score": 1e999, "scores": {"a": 0}, "error": []}"#,
    r#"{"scores": {"a": 0, "a": 0}}"#,
    r#"{"scores": {"a": null, "\u0061": 0.5}}"#,
    r#"{"scores": {"a": 0}, "scores": {"b": 0}}"#,
    r#"{"scores": {"a": 0}, "error": null, "error": 0} {}"#,
    "{\"scores\":\n{\"a\":\t0.5,\r\n\"b\": 1e0}, \"error\": [false]\n}\n",
    r#"{"scores": [0], "model": null}"#,
];

const NUMBERS: &str = "0 -0 1 -1 0.0 -0.0 1.0 1e0 1E+0 1e-7 10e-1 0.1 -0.1e-1 0.30000000000000004 \
    0.1000000000000000055511151231257827021181583404541015625 0.99999999999999994448884876 \
    5e-324 2e-324 2.2250738585072011e-308 1.0000000000000001 18446744073709551616 1e999 \
    01 1. .5 +1 1e 0x1";

#[test]
fn an_answer_that_is_read_as_a_plain_one_says_what_the_parser_reads() {
    let (mut plain, mut others) = (0, 0);
    let mut compare = |body: &[u8]| {
        let Some(found) = plain::read(body) else { return others += 1 };
        let (found, expected) = (format!("{found:?}"), format!("{:?}", read_own(body).unwrap()));
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(body));
        plain += 1;
    };
    for odd in ODD {
        compare(odd.as_bytes());
        for place in 0..odd.len() {
            for byte in *b"\"\\{}[],:0-.eu \n\x00\xff" {
                let mut body = odd.as_bytes().to_owned();
                body[place] = byte;
                compare(&body);
                body[place] = odd.as_bytes()[place];
                body.insert(place, byte);
                compare(&body);
            }
        }
    }
    for number in NUMBERS.split(' ') {
        compare(format!(r#"{{"scores": {{"a": {number}}}, "model": {number}}}"#).as_bytes());
        compare(
            format!(r#"{{"scores": {{"a": {number}}}, "model": {{"a": {number}}}}}"#).as_bytes(),
        );
        compare(format!(r#"{{"scores": {{}}, "score": {number}}}"#).as_bytes());
    }
    for field in ["model", "error", "label"] {
        for depth in [1, 15, 16, 17, 127, 128, 10_000] {
            let nested = "[".repeat(depth) + &"]".repeat(depth);
            compare(format!(r#"{{"scores": {{"a": 0}}, "{field}": {nested}}}"#).as_bytes());
        }
    }
    assert!(plain > 1000 && others > 1000, "{plain} of {others} were plain");
}

#[test]
fn what_our_own_container_answers_is_plain() {
    let answer = r#"{"label":"spam","score":0.75,"scores":{"ham":0.25,"spam":0.75},
        "evidence":[{"term":"é","weight":-1.5e-7,"known":true}],
        "model":{"name":"m","version":"3","digest":"sha256:0"}}"#;
    assert_eq!(plain::read(answer.as_bytes()), Some(read_own(answer.as_bytes()).unwrap()));
}

#[test]
fn an_answer_that_tells_of_an_error_is_none() {
    for form in forms() {
        for fine in ["", r#", "error": null"#, r#", "error": """#, r#", "error": false"#] {
            assert_eq!(shown(&form.read(suiting(fine).as_bytes()).unwrap().scores), "spam=0");
        }
        for error in [r#""out of memory""#, r#"{"code": 1}"#, "true", "500"] {
            let body = suiting(&format!(r#", "error": {error}"#));
            let fault = form.read(body.as_bytes()).unwrap_err();
            assert_eq!(fault, "the answer tells of an error", "{form:?}");
        }
    }
}

#[test]
fn what_is_no_json_is_told_apart_without_being_quoted() {
    let deep = "[".repeat(100_000);
    for form in forms() {
        let whole = suiting("");
        for end in 1..whole.len() {
            let fault = form.read(&whole.as_bytes()[..end]).unwrap_err();
            assert!(fault.starts_with("the answer ends in the middle"), "{fault}");
        }
        for (body, start) in [
            (&b" \n"[..], "the answer is empty"),
            (b"\r\n<html>secret</html>", "the answer is HTML"),
            (b"\x1f\x8b\x08secret", "the answer is compressed"),
            (b"secret", "not an answer of scores, at line 1 column 1"),
            (b"{\"scores\": {\"spam\": NaN}}", "not an answer of scores"),
            (b"{\"scores\": {\"spam\": 1e400}}", "not an answer of scores"),
            (b"\xff\xfe\x00", "not an answer of scores"),
            (deep.as_bytes(), "not an answer of scores"),
        ] {
            let fault = form.read(body).unwrap_err();
            assert!(fault.starts_with(start) && !fault.contains("secret"), "{form:?}: {fault}");
        }
    }
}

#[test]
fn no_seed_of_the_fuzzer_is_misread() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/model_answer");
    let seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(seeds.len() >= 10, "only {} seeds were found", seeds.len());
    for seed in seeds {
        let body = fs::read(&seed).unwrap();
        for form in forms() {
            let scores = form.read(&body).map(|reading| reading.scores).unwrap_or_default();
            let is_score = |score: &f64| (0.0..=1.0).contains(score);
            assert!(scores.valid.values().all(is_score), "{}: {form:?}", seed.display());
        }
    }
}
