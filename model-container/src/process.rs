//! What the kernel says of this process: how old it is, and what it holds.

use std::fs;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Where a field of `/proc/self/stat` stands behind the command's closing parenthesis.
const THREADS: usize = 17;
const START_TIME: usize = 19;

/// How long ago this process was started.
///
/// The kernel tells its start in ticks of 10 ms. Between two ticks, the time that it ran and
/// waited for a processor counts, which is all there is but for waiting on a disk.
pub(crate) fn age() -> Option<Duration> {
    let ticks: u64 = stat_field(&stat()?, START_TIME)?;
    let tick =
        Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let started = tick * u32::try_from(ticks).ok()?;
    let longest = clock(ClockId::Boottime).checked_sub(started)?;
    let shortest = longest.saturating_sub(tick);
    Some((clock(ClockId::ProcessCPUTime) + waited_to_run()).clamp(shortest, longest))
}

/// How long the main thread waited for a processor.
fn waited_to_run() -> Duration {
    let schedule = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let waited = schedule.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}

fn clock(id: ClockId) -> Duration {
    clock_gettime(id).try_into().expect("these clocks begin at zero and run forwards")
}

fn stat() -> Option<String> {
    fs::read_to_string("/proc/self/stat").ok()
}

/// The command may hold spaces and parentheses itself, so that counting begins at its end.
fn stat_field<T: std::str::FromStr>(stat: &str, index: usize) -> Option<T> {
    stat.rsplit_once(") ")?.1.split(' ').nth(index)?.parse().ok()
}

/// The `process_…` metrics that every Prometheus client library has; read at each scrape.
#[derive(Debug)]
pub(crate) struct Process {
    /// Worked out once: whoever watches for restarts must not see it change.
    started: Option<f64>,
}

impl Default for Process {
    fn default() -> Self {
        Self { started: start_time() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let cpu = ConstCounter::new(clock(ClockId::ProcessCPUTime).as_secs_f64());
        let help = "Processor time used, by user and system.";
        write(&mut encoder, "process_cpu", help, Some(&Unit::Seconds), &cpu)?;
        let mut gauge = |name, help, unit, value: Option<f64>| match value {
            Some(value) => write(&mut encoder, name, help, unit, &ConstGauge::new(value)),
            None => Ok(()),
        };
        let bytes = Some(&Unit::Bytes);
        let [resident, total] = memory_bytes();
        gauge("process_resident_memory", "Memory held.", bytes, resident)?;
        gauge("process_virtual_memory", "Addresses mapped.", bytes, total)?;
        let threads = stat().and_then(|stat| stat_field(&stat, THREADS));
        gauge("process_threads", "Threads.", None, threads)?;
        gauge("process_open_fds", "Open file descriptors.", None, open_files())?;
        let limit = getrlimit(Resource::Nofile).current.map(|limit| limit as f64);
        gauge("process_max_fds", "File descriptors allowed.", None, limit)?;
        let help = "When the process began, since 1970.";
        gauge("process_start_time", help, Some(&Unit::Seconds), self.started)
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &impl EncodeMetric,
) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

/// The memory held and that mapped, in this order.
fn memory_bytes() -> [Option<f64>; 2] {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let bytes = |pages: &str| Some(pages.parse::<f64>().ok()? * rustix::param::page_size() as f64);
    let mut sizes = pages.split(' ').map(bytes);
    let total = sizes.next().flatten();
    [sizes.next().flatten(), total]
}

fn open_files() -> Option<f64> {
    // One of them is the folder being read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn start_time() -> Option<f64> {
    let started = SystemTime::now().checked_sub(age()?)?;
    Some(started.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}
