//! Containers for tests: shell scripts, and one in Python that keeps SageMaker's contract.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::ContainerCommand;
use crate::artifact::{ModelRoots, ModelSource};
use crate::container::Launch;
use crate::home::Home;
use crate::image::{Contract, Program};
use crate::machine::Machine;
use crate::memory::Memory;
use crate::pool::Pool;
use crate::record::{ServerlessConfig, Variant};
use crate::resource_name::ResourceName;

/// A container that is a shell script, its model an empty folder.
pub(crate) fn shell(folder: &Path, script: &str) -> Launch {
    launch(folder, "/bin/sh", &["-c", script])
}

/// The containers in Python of an endpoint, which obey the bodies of their calls.
pub(crate) fn python_pool(folder: &Path) -> Arc<Pool> {
    python_pool_with(folder, Memory::by_looking())
}

/// The same with another way to limit its memory.
pub(crate) fn python_pool_with(folder: &Path, memory: Memory) -> Arc<Pool> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/container.py");
    let mut launch = launch(folder, "/usr/bin/env", &["python3", script]);
    launch.machine = Arc::new(Machine::new(memory, 1000, Duration::from_secs(60)));
    Arc::new(Pool::new(launch, Duration::from_secs(600)))
}

fn launch(folder: &Path, program: &str, arguments: &[&str]) -> Launch {
    std::fs::create_dir_all(folder.join("model")).unwrap();
    let roots = Arc::new(ModelRoots::open(folder, &folder.join("model"), &[]).unwrap());
    let serverless_config = ServerlessConfig {
        memory_size_in_mb: 1024,
        max_concurrency: 5,
        provisioned_concurrency: None,
    };
    let command = ContainerCommand {
        program: program.into(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: Vec::new(),
    };
    let launch = Launch {
        endpoint: name("spam"),
        variant: Variant {
            variant_name: name("all"),
            model_name: name("spam"),
            initial_variant_weight: 1.0,
            serverless_config,
        },
        program: Ok(Arc::new(Program { command, contract: Contract::BuiltIn })),
        machine: Arc::new(Machine::new(Memory::by_looking(), 1000, Duration::from_secs(60))),
        model: ModelSource::new(&roots, &format!("file://{}/served", folder.display())),
        home: Home::of(folder, Uuid::nil(), &name("all")),
        environment: std::env::vars().filter(|(name, _)| name == "PATH").collect(),
    };
    std::fs::create_dir_all(folder.join("served")).unwrap();
    launch
}

fn name(name: &str) -> ResourceName {
    ResourceName::parse(name).unwrap()
}
