//! The images that this host can run: the built-in one, and those that `--image` maps to a program.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::{Config, ContainerCommand, Error};

/// The image that every host has, unless it is to do as AWS does.
const BUILT_IN: &str = "gatehouse/model-container";

/// An image and the command that runs it: `NAME=COMMAND`, the command in a shell's quoting.
#[derive(Clone, Debug)]
pub struct Image {
    /// The name, with or without a tag; without one it stands for every tag.
    name: String,
    /// The program and its arguments.
    words: Vec<String>,
}

impl FromStr for Image {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("write it as NAME=COMMAND")?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err("an image's name must not be empty or hold blanks".to_owned());
        }
        let words = shlex::split(command).ok_or("the command's quotes do not match")?;
        if words.first().is_none_or(String::is_empty) {
            return Err(format!("name the command that runs `{name}`"));
        }
        Ok(Self { name: name.to_owned(), words })
    }
}

/// Which program runs an image, and what it understands.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its command line and environment.
    pub(crate) command: ContainerCommand,
    /// How it is told what to serve and where.
    pub(crate) contract: Contract,
}

/// How a program is told its model and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// By `--model-dir` and `--listen`; it says where it listens, and ends with its lifeline.
    BuiltIn,
    /// By the variables that containers for SageMaker read, the port among them.
    SageMaker,
}

/// Every image that can be run.
#[derive(Debug)]
pub(crate) struct Images {
    /// By name.
    programs: BTreeMap<String, Arc<Program>>,
}

impl Images {
    /// The built-in image, if the host is to have it, and those of the configuration.
    pub(crate) fn new(built_in: ContainerCommand, config: &Config) -> Result<Self, Error> {
        let mut programs = BTreeMap::new();
        for image in &config.images {
            let program = Arc::new(image.program()?);
            if programs.insert(image.name.clone(), program).is_some() {
                return Err(image.cannot_run("it is given twice".to_owned()));
            }
        }
        if !config.aws_only {
            let program = Program { command: built_in, contract: Contract::BuiltIn };
            programs.entry(BUILT_IN.to_owned()).or_insert_with(|| Arc::new(program));
        }
        Ok(Self { programs })
    }

    /// The program that runs an image: the one for exactly this name, else for its repository.
    pub(crate) fn command(&self, image: &str) -> Option<Arc<Program>> {
        let exact = self.programs.get(image);
        exact.or_else(|| self.programs.get(repository(image)?)).cloned()
    }

    /// The program that runs an image, or what the image's user can do.
    pub(crate) fn find(&self, image: &str) -> Result<Arc<Program>, String> {
        self.command(image).ok_or_else(|| {
            let known: Vec<_> = self.programs.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "no image".to_owned() } else { known.join(", ") };
            format!(
                "image `{image}` is not known: this host runs {known}; \
                 start it with --image NAME=COMMAND for others"
            )
        })
    }
}

impl Image {
    fn program(&self) -> Result<Program, Error> {
        let program = located(&self.words[0]).ok_or_else(|| {
            self.cannot_run(format!("`{}` is not an executable file, nor in PATH", self.words[0]))
        })?;
        let command = ContainerCommand {
            program,
            arguments: self.words[1..].to_vec(),
            environment: Vec::new(),
        };
        Ok(Program { command, contract: Contract::SageMaker })
    }

    fn cannot_run(&self, fault: String) -> Error {
        Error::Image { image: self.name.clone(), fault }
    }
}

/// An image's name without its tag or digest; nothing if it has neither, or an empty one.
fn repository(image: &str) -> Option<&str> {
    let path = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = path + image[path..].find([':', '@'])?;
    (end + 1 < image.len()).then(|| &image[..end])
}

/// The absolute path of a program, for containers run elsewhere and without the host's `PATH`.
fn located(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder: PathBuf| folder.join(Path::new(program)))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(mapped: &[&str], aws_only: bool) -> Result<Images, Error> {
        let images = mapped.iter().map(|image| image.parse().unwrap()).collect();
        let built_in = ContainerCommand {
            program: "/built-in".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        Images::new(built_in, &Config { images, aws_only, ..Config::default() })
    }

    fn arguments(images: &Images, image: &str) -> Option<Vec<String>> {
        images.command(image).map(|program| program.command.arguments.clone())
    }

    #[test]
    fn the_built_in_image_is_known_with_and_without_a_tag_unless_only_aws_counts() {
        let host = images(&[], false).unwrap();
        for good in ["gatehouse/model-container", "gatehouse/model-container:1.2.3"] {
            assert_eq!(host.command(good).unwrap().contract, Contract::BuiltIn, "{good}");
            assert!(images(&[], true).unwrap().command(good).is_none(), "{good}");
        }
        for bad in ["", "nginx", "gatehouse/model-container:", "gatehouse/model-container2"] {
            assert!(host.command(bad).is_none(), "{bad}");
        }
        let refusal = host.find("nginx").unwrap_err();
        assert!(refusal.contains("`nginx` is not known") && refusal.contains("--image"));
    }

    #[test]
    fn a_tag_has_the_program_of_its_own_name_first() {
        let mapped = ["localhost:5000/spam=sh any", "localhost:5000/spam:2=sh 'the second'"];
        let host = images(&mapped, true).unwrap();
        let any = Some(vec!["any".to_owned()]);
        assert_eq!(arguments(&host, "localhost:5000/spam"), any);
        assert_eq!(arguments(&host, "localhost:5000/spam:1"), any);
        assert_eq!(arguments(&host, "localhost:5000/spam@sha256:00ff"), any);
        let second = Some(vec!["the second".to_owned()]);
        assert_eq!(arguments(&host, "localhost:5000/spam:2"), second);
        assert_eq!(arguments(&host, "localhost"), None);
        assert_eq!(arguments(&host, "localhost:5000/ham"), None);
    }

    #[test]
    fn programs_that_are_not_there_and_names_given_twice_are_told() {
        let missing = images(&["spam=no-such-program"], false).unwrap_err().to_string();
        assert!(missing.contains("`spam`") && missing.contains("no-such-program"), "{missing}");
        let twice = images(&["spam=sh", "spam=sh x"], false).unwrap_err().to_string();
        assert!(twice.contains("`spam`") && twice.contains("twice"), "{twice}");
    }
}
