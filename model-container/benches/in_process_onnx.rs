//! ONNX Runtime called without a server: what a text's score costs by itself.
//!
//! `in_process_onnx FILE` reads lines: `{"text": …}` is answered by its label and scores; a number of
//! seconds starts a loop over all texts so far, answered by how many were scored. `ORT_DYLIB_PATH`
//! names the library.

use std::env::{args, var};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use anyhow::Context;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let file = args().nth(1).context("usage: in_process_onnx FILE")?;
    let library = var("ORT_DYLIB_PATH").context("ORT_DYLIB_PATH must name the library")?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let mut session = open(&environment, &file)?;
    let mut texts = Vec::new();
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Value::Number(seconds) => {
                let length = Duration::from_secs_f64(seconds.as_f64().context("not a number")?);
                json!(repeat(&mut session, &texts, length)?)
            }
            body => {
                texts.push(body["text"].as_str().context("there is no `text`")?.to_owned());
                let [clean, offensive] = score(&mut session, &texts[texts.len() - 1])?;
                let label = if offensive > clean { "offensive" } else { "clean" };
                json!({"label": label, "scores": {"clean": clean, "offensive": offensive}})
            }
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

fn open(environment: &Environment, file: &str) -> ort::Result<Session> {
    Session::builder(environment)?.with_intra_threads(1)?.commit_from_file(file)
}

fn repeat(session: &mut Session, texts: &[String], length: Duration) -> anyhow::Result<usize> {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < length {
        for text in texts {
            score(session, text)?;
        }
        count += texts.len();
    }
    Ok(count)
}

/// The probabilities of `clean` and `offensive`.
fn score(session: &mut Session, text: &str) -> ort::Result<[f32; 2]> {
    let input = Tensor::from_string_array(([1, 1], &[text.to_owned()][..]))?;
    let outputs = session.run(ort::inputs!["text" => input])?;
    let (_, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>()?;
    Ok([probabilities[0], probabilities[1]])
}
