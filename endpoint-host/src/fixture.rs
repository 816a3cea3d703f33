//! Containers for tests: shell scripts, and one in Python that keeps SageMaker's contract.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ContainerCommand;
use crate::artifact::Artifact;
use crate::container::Launch;
use crate::home::Home;
use crate::record::{ServerlessConfig, Variant};
use crate::resource_name::ResourceName;
use crate::slot::Slot;

/// A container that is a shell script, its model an empty folder.
pub(crate) fn shell(folder: &Path, script: &str) -> Launch {
    launch(folder, "/bin/sh", &["-c", script])
}

/// The endpoint of a container in Python that obeys the bodies of its calls.
pub(crate) fn python_slot(folder: &Path) -> Arc<Slot> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/container.py");
    let variant = Variant {
        variant_name: name("all"),
        model_name: name("spam"),
        initial_variant_weight: 1.0,
        serverless_config: ServerlessConfig { memory_size_in_mb: 1024, max_concurrency: 5 },
    };
    let launch = launch(folder, "/usr/bin/env", &["python3", script]);
    Arc::new(Slot::new(launch, variant, Duration::from_secs(600)))
}

fn launch(folder: &Path, program: &str, arguments: &[&str]) -> Launch {
    let model = folder.join("model");
    std::fs::create_dir_all(&model).unwrap();
    let launch = Launch {
        endpoint: name("spam"),
        command: ContainerCommand {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
        },
        artifact: Artifact::Folder(model),
        home: Home::new(folder),
        environment: std::env::vars().filter(|(name, _)| name == "PATH").collect(),
    };
    launch.home.prepare(&launch.artifact).unwrap();
    launch
}

fn name(name: &str) -> ResourceName {
    ResourceName::parse(name).unwrap()
}
