//! `gatehouse host cost`: a table of what was called and what SageMaker would have charged for it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context;
use aws_credential_types::Credentials;
use clap::Args;
use deployer::http::{Answer, Call, Http, Method};
use serde::Deserialize;

use super::signing;

/// What a host that demands signatures says to a question without one.
const UNSIGNED: &str = "MissingAuthenticationTokenException";

/// Which host to ask.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The endpoint host's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    host: String,
}

/// What the host answers.
#[derive(Debug, Deserialize)]
struct Cost {
    prices: Prices,
    variants: Vec<Variant>,
    total_usd: f64,
}

/// AWS's published prices, in dollars.
#[derive(Debug, Deserialize)]
struct Prices {
    gb_second: f64,
    gb_of_data: f64,
}

/// One variant with one memory size.
#[derive(Debug, Deserialize)]
struct Variant {
    endpoint: String,
    variant: String,
    memory_mb: u16,
    calls: u64,
    billed_ms: u64,
    gb_seconds: f64,
    bytes_in: u64,
    bytes_out: u64,
    provisioned_gb_seconds: f64,
    usd: f64,
}

/// Asks the host and prints the table.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let url = format!("{}/cost", arguments.host.trim_end_matches('/'));
    let cost = ask(&url, signing::credentials().as_ref()).await?;
    Ok(io::stdout().write_all(table(&cost).as_bytes())?)
}

/// Asks; where the host demands a signature, again with one.
async fn ask(url: &str, key: Option<&Credentials>) -> anyhow::Result<Cost> {
    let mut answer = get(url, &[]).await?;
    if answer.body["__type"] == UNSIGNED {
        let key = key.with_context(|| {
            format!(
                "`{url}` demands a signature: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to \
                 one of the host's access keys"
            )
        })?;
        answer = get(url, &signing::headers(url, key)?).await?;
    }
    let cost = answer.success("GET /cost")?;
    serde_json::from_value(cost).with_context(|| format!("`{url}` is no endpoint host's"))
}

async fn get(url: &str, signed: &[(String, String)]) -> anyhow::Result<Answer> {
    let value = |header: &'static str| {
        let found = signed.iter().find(|(name, _)| name == header);
        found.map(|(_, value)| (header, value.as_str()))
    };
    let headers: Vec<_> = ["authorization", "x-amz-date"].into_iter().filter_map(value).collect();
    let call = Call { method: Method::GET, url: url.to_owned(), headers: &headers, body: None };
    Ok(Http::new().send(call).await?)
}

fn table(cost: &Cost) -> String {
    let head = [
        "ENDPOINT",
        "VARIANT",
        "MEMORY",
        "CALLS",
        "BILLED MS",
        "GB-S",
        "BYTES IN",
        "BYTES OUT",
        "PROVISIONED GB-S",
        "USD",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(cost.variants.iter().map(row));
    let mut total = <[String; 10]>::default();
    total[0] = "total".to_owned();
    total[9] = dollars(cost.total_usd);
    rows.push(total);
    let widths: [usize; 10] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut table: String = rows.iter().map(|row| line(row, &widths)).collect();
    let Prices { gb_second, gb_of_data } = cost.prices;
    // Writing into memory does not fail.
    let _ = write!(
        table,
        "\nAt AWS's published serverless price: ${gb_second:.7} per GB-second, ${gb_of_data} per GB \
         of data.\n"
    );
    if cost.variants.iter().any(|variant| variant.provisioned_gb_seconds > 0.0) {
        table += "Provisioned concurrency is shown and not priced: its rate is not published.\n";
    }
    table
}

fn row(variant: &Variant) -> [String; 10] {
    [
        variant.endpoint.clone(),
        variant.variant.clone(),
        format!("{} MB", variant.memory_mb),
        variant.calls.to_string(),
        variant.billed_ms.to_string(),
        format!("{:.3}", variant.gb_seconds),
        variant.bytes_in.to_string(),
        variant.bytes_out.to_string(),
        format!("{:.3}", variant.provisioned_gb_seconds),
        dollars(variant.usd),
    ]
}

/// A call costs millionths of a dollar.
fn dollars(usd: f64) -> String {
    format!("{usd:.8}")
}

/// Names to the left, numbers to the right.
fn line(row: &[String; 10], widths: &[usize; 10]) -> String {
    let cell = |(column, (text, width)): (usize, (&String, &usize))| {
        if column < 2 { format!("{text:<width$}") } else { format!("{text:>width$}") }
    };
    let cells: Vec<_> = row.iter().zip(widths).enumerate().map(cell).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use endpoint_host::{AccessKey, Config, Server};

    use super::*;
    use crate::servers;

    #[tokio::test]
    async fn a_host_that_demands_a_signature_is_asked_with_one() {
        let data = tempfile::tempdir().unwrap();
        let secret = "correct horse battery".to_owned();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data: data.path().to_owned(),
            access_keys: vec![AccessKey { id: "team".to_owned(), secret: secret.clone() }],
            ..Config::default()
        };
        let server = Server::bind(config, servers::container_command().unwrap()).await.unwrap();
        let url = format!("http://{}/cost", server.address());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async {
            stopped.await.ok();
        }));
        let key = |secret: &str| Credentials::new("team", secret, None, None, "test");
        assert!(ask(&url, Some(&key(&secret))).await.unwrap().variants.is_empty());
        let unsigned = ask(&url, None).await.unwrap_err().to_string();
        assert!(unsigned.contains("set AWS_ACCESS_KEY_ID"), "{unsigned}");
        let wrong = ask(&url, Some(&key("another horse battery"))).await.unwrap_err().to_string();
        assert!(wrong.contains("the signature does not match"), "{wrong}");
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }

    #[test]
    fn the_table_has_a_line_for_each_variant_and_a_total() {
        let cost = r#"{"currency": "USD", "prices": {"gb_second": 0.00002, "gb_of_data": 0.016},
            "variants": [{"endpoint": "spam", "variant": "all", "memory_mb": 2048, "calls": 7,
            "billed_ms": 1500, "gb_seconds": 3.0, "bytes_in": 10, "bytes_out": 20,
            "provisioned_gb_seconds": 0.5, "usd": 0.00006}], "total_usd": 0.00006}"#;
        let table = table(&serde_json::from_str(cost).unwrap());
        let expected = "\
ENDPOINT  VARIANT   MEMORY  CALLS  BILLED MS   GB-S  BYTES IN  BYTES OUT  PROVISIONED GB-S         USD
spam      all      2048 MB      7       1500  3.000        10         20             0.500  0.00006000
total                                                                                       0.00006000

At AWS's published serverless price: $0.0000200 per GB-second, $0.016 per GB of data.
Provisioned concurrency is shown and not priced: its rate is not published.
";
        assert_eq!(table, expected);
    }
}
