//! Sends requests at a fixed rate and times each from the moment it should have been sent.
//!
//! `open_loop ADDRESS PATH TYPE FILE RATE SECONDS CONNECTIONS`: FILE holds one body a line. A request
//! that is due takes the next idle connection; where none is, it waits, and the wait counts. A closed
//! loop would hold it back instead, and leave the worst times out (coordinated omission).

use std::env::args;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [address, path, media_type, file, rate, seconds, connections] = &arguments[..] else {
        bail!("usage: open_loop ADDRESS PATH TYPE FILE RATE SECONDS CONNECTIONS");
    };
    let address: SocketAddr = address.parse()?;
    let bodies = std::fs::read_to_string(file).with_context(|| format!("can't read {file}"))?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {media_type}\r\n");
    let requests: Vec<_> = bodies.lines().map(|body| request(&head, body)).collect();
    ensure!(!requests.is_empty(), "{file} is empty");
    // Sleeps end on time instead of up to 50 us late; threads take it over from the one that starts them.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let interval = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
    let count = (seconds.parse::<f64>()? / interval.as_secs_f64()) as usize;
    let schedule = Schedule { next: AtomicUsize::new(0), count, interval, requests };
    let times = run(address, &schedule, connections.parse()?)?;
    report(times);
    Ok(())
}

fn request(head: &str, body: &str) -> Vec<u8> {
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What is to be sent when, handed out in order.
struct Schedule {
    next: AtomicUsize,
    count: usize,
    interval: Duration,
    requests: Vec<Vec<u8>>,
}

/// How long one request took from when it was due, and how late it was sent.
struct Timing {
    total: Duration,
    late: Duration,
}

fn run(address: SocketAddr, schedule: &Schedule, count: usize) -> anyhow::Result<Vec<Timing>> {
    let connections = (0..count).map(|_| Connection::open(address));
    let connections = connections.collect::<Result<Vec<_>, _>>().context("can't connect")?;
    let start = Instant::now() + Duration::from_millis(50);
    thread::scope(|scope| {
        let send = |connection| scope.spawn(move || send_all(connection, schedule, start));
        let senders: Vec<_> = connections.into_iter().map(send).collect();
        let mut times = Vec::with_capacity(schedule.count);
        for sender in senders {
            times.extend(sender.join().expect("a sender returns its errors")?);
        }
        Ok(times)
    })
}

fn send_all(
    mut connection: Connection,
    schedule: &Schedule,
    start: Instant,
) -> anyhow::Result<Vec<Timing>> {
    let mut times = Vec::new();
    loop {
        let number = schedule.next.fetch_add(1, Relaxed);
        if number >= schedule.count {
            return Ok(times);
        }
        let due = start + schedule.interval.mul_f64(number as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let late = due.elapsed();
        connection.call(&schedule.requests[number % schedule.requests.len()])?;
        times.push(Timing { total: due.elapsed(), late });
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Sends the request and reads the answer to its end; anything but a 200 is an error.
    fn call(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        loop {
            let mut chunk = [0; 16 << 10];
            let length = self.stream.read(&mut chunk)?;
            ensure!(length > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..length]);
            if self.is_complete()? {
                return Ok(());
            }
        }
    }

    fn is_complete(&self) -> anyhow::Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = response.parse(&self.buffer)? else {
            return Ok(false);
        };
        ensure!(response.code == Some(200), "{}", String::from_utf8_lossy(&self.buffer));
        let mut headers = response.headers.iter();
        let length = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = std::str::from_utf8(length.context("an answer has no length")?.value)?;
        Ok(self.buffer.len() - start >= length.parse()?)
    }
}

fn report(times: Vec<Timing>) {
    let (mut total, mut late): (Vec<_>, Vec<_>) =
        times.into_iter().map(|timing| (timing.total, timing.late)).unzip();
    total.sort_unstable();
    late.sort_unstable();
    let us = |times: &[Duration], part: f64| {
        times.get((times.len() as f64 * part) as usize).map(|time| time.as_secs_f64() * 1e6)
    };
    let report = serde_json::json!({
        "requests": total.len(),
        "p50_us": us(&total, 0.5),
        "p99_us": us(&total, 0.99),
        "max_us": total.last().map(|time| time.as_secs_f64() * 1e6),
        "late_p50_us": us(&late, 0.5),
        "late_p99_us": us(&late, 0.99),
    });
    let _ = writeln!(std::io::stdout(), "{report}");
}
