//! Copies of one model that work side by side: a session of ONNX Runtime does one thing at a time.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::DynValue;

use super::explain;
use super::options::Options;
use crate::package::Package;

/// A package above this size is loaded once, however many processors there are.
const LARGE_BYTES: u64 = 64 << 20;

/// What makes sessions of one artifact.
pub(super) struct Factory {
    environment: Environment,
    artifact: PathBuf,
    size: Size,
    /// Whether memory is kept from call to call, which is quicker.
    ///
    /// A transformer's tensors grow with the text, and the longest would be kept for ever.
    has_arena: bool,
}

/// How many copies of a model there are, and how many threads each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    sessions: usize,
    threads: usize,
}

/// The copies; whoever needs one waits until one is free.
pub(super) struct Sessions {
    idle: Mutex<Idle>,
    freed: Condvar,
}

struct Idle {
    units: Vec<Unit>,
    /// How many threads wait for one; waking nobody would still cost a call of the system.
    waiting: usize,
}

/// One copy, with the choice of the output that is read.
struct Unit {
    session: Session,
    options: RunOptions<HasSelectedOutputs>,
}

/// A copy that is at work; it is idle again when this is dropped.
struct Lease<'a> {
    unit: Option<Unit>,
    sessions: &'a Sessions,
}

impl Factory {
    /// Decides how many sessions there will be, from the options or else from the processors that
    /// this process may use.
    pub(super) fn new(environment: Environment, package: &Package) -> Self {
        let options = &package.manifest.onnx;
        // Unlike ONNX Runtime's own default, this honours the cgroup's quota and the affinity.
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let size = Size::new(processors, options, package.size_bytes);
        // A model can't be asked for its inputs before this is decided, but without a tokenizer's
        // file none that reads tokens is accepted.
        let has_arena = !package.dir.join(options.tokenizer_file()).is_file();
        Self { environment, artifact: package.artifact(), size, has_arena }
    }

    /// Loads the artifact once.
    pub(super) fn session(&self) -> Result<Session, String> {
        self.try_session().map_err(|error| explain(&error))
    }

    fn try_session(&self) -> ort::Result<Session> {
        let cpu = ep::CPU::default().with_arena_allocator(self.has_arena).build();
        let mut builder = Session::builder(&self.environment)?
            .with_log_level(LogLevel::Warning)?
            .with_intra_threads(self.size.threads)?
            .with_intra_op_spinning(false)?
            .with_execution_providers([cpu])?;
        builder.commit_from_file(&self.artifact)
    }

    /// Loads the artifact as often as is still needed beside the `first` session.
    pub(super) fn sessions(&self, first: Session, output: &str) -> Result<Sessions, String> {
        let others = (1..self.size.sessions).map(|_| self.session());
        let units = std::iter::once(Ok(first)).chain(others).map(|session| {
            let selected = OutputSelector::no_default().with(output);
            let options = RunOptions::new().map_err(|error| explain(&error))?;
            Ok(Unit { session: session?, options: options.with_outputs(selected) })
        });
        let units = units.collect::<Result<Vec<_>, String>>()?;
        Ok(Sessions { idle: Mutex::new(Idle { units, waiting: 0 }), freed: Condvar::new() })
    }
}

impl Size {
    fn new(processors: usize, options: &Options, package_bytes: u64) -> Self {
        let copies = if package_bytes > LARGE_BYTES { 1 } else { processors };
        let sessions = options.sessions.map_or(copies, NonZeroUsize::get);
        let threads = options.threads.map_or((processors / sessions).max(1), NonZeroUsize::get);
        Self { sessions, threads }
    }
}

impl Sessions {
    /// Computes the chosen output from `inputs`, which stand in the model's order, and reads it.
    pub(super) fn run<T>(
        &self,
        inputs: &[SessionInputValue<'_>],
        read: impl FnOnce(&DynValue) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut lease = self.lease();
        let Unit { session, options } = lease.unit();
        let outputs = session.run_with_options(inputs, options).map_err(|error| explain(&error))?;
        read(&outputs[0])
    }

    fn lease(&self) -> Lease<'_> {
        let mut idle = self.lock();
        loop {
            if let Some(unit) = idle.units.pop() {
                return Lease { unit: Some(unit), sessions: self };
            }
            idle.waiting += 1;
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
            idle.waiting -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    fn unit(&mut self) -> &mut Unit {
        self.unit.as_mut().expect("it is only taken out when the lease ends")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut idle = self.sessions.lock();
        idle.units.extend(self.unit.take());
        if idle.waiting > 0 {
            self.sessions.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_model_has_a_copy_for_each_processor_and_a_large_one_all_of_their_threads() {
        let options = Options::default();
        assert_eq!(Size::new(4, &options, 1 << 20), Size { sessions: 4, threads: 1 });
        assert_eq!(Size::new(4, &options, 1 << 30), Size { sessions: 1, threads: 4 });
        let options = Options { sessions: NonZeroUsize::new(3), ..options };
        assert_eq!(Size::new(2, &options, 1 << 20), Size { sessions: 3, threads: 1 });
        let options = Options { threads: NonZeroUsize::new(8), ..options };
        assert_eq!(Size::new(2, &options, 1 << 20), Size { sessions: 3, threads: 8 });
    }
}
