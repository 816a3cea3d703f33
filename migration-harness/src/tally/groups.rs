//! The models and clients of the records, each by a number.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::tally::OTHERS;

/// How many groups are told apart; the records of all others make one more.
const MAX_GROUPS: usize = 100_000;
/// How many models are told apart.
const MAX_MODELS: usize = 10_000;
/// How long a name may be; records with longer ones count to the others.
pub(crate) const MAX_NAME_BYTES: usize = 1_000;

/// The model of a call and the client that it was made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The model.
    pub(crate) model: String,
    /// The client, where it is known.
    pub(crate) client: Option<String>,
}

/// How many records a group has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupRecords {
    /// The group.
    pub(crate) group: Group,
    /// Its model's number.
    pub(crate) model: u32,
    /// Its records.
    pub(crate) records: u64,
    /// Those of them that differ.
    pub(crate) mismatches: u64,
}

/// All groups. A name is copied only when it is met first.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    models: HashMap<String, Model>,
    /// The groups, by their numbers.
    list: Vec<GroupRecords>,
    others: Option<u32>,
}

#[derive(Debug, Default)]
struct Model {
    number: u32,
    without_client: Option<u32>,
    clients: HashMap<String, u32>,
}

impl Groups {
    /// The group's number.
    pub(crate) fn number(&mut self, model: &str, client: Option<&str>) -> u32 {
        if let Some(known) = self.models.get(model) {
            let number = match client {
                Some(client) => known.clients.get(client).copied(),
                None => known.without_client,
            };
            if let Some(number) = number {
                return number;
            }
        }
        self.add(model, client)
    }

    /// Adds records to a group.
    pub(crate) fn count(&mut self, number: u32, records: u64, mismatches: u64) {
        let group = &mut self.list[number as usize];
        group.records += records;
        group.mismatches += mismatches;
    }

    /// The number of the group's model.
    pub(crate) fn model_of(&self, number: u32) -> u32 {
        self.list[number as usize].model
    }

    /// The number of a model that is told apart.
    pub(crate) fn model_number(&self, model: &str) -> Option<u32> {
        Some(self.models.get(model)?.number)
    }

    /// The groups, by their numbers.
    pub(crate) fn list(&self) -> &[GroupRecords] {
        &self.list
    }

    /// The records of each model.
    pub(crate) fn models(&self) -> HashMap<&str, u64> {
        let mut models = HashMap::new();
        for group in &self.list {
            *models.entry(group.group.model.as_str()).or_default() += group.records;
        }
        models
    }

    fn add(&mut self, model: &str, client: Option<&str>) -> u32 {
        let too_long = model.len().max(client.map_or(0, str::len)) > MAX_NAME_BYTES;
        let too_many = self.models.len() >= MAX_MODELS && !self.models.contains_key(model);
        if too_long || too_many || self.list.len() >= MAX_GROUPS || model == OTHERS {
            return self.others.unwrap_or_else(|| self.add_others());
        }
        let (number, models) = (self.list.len() as u32, self.models.len() as u32);
        let fresh = || Model { number: models, ..Model::default() };
        let known = self.models.entry(model.to_owned()).or_insert_with(fresh);
        match client {
            Some(client) => drop(known.clients.insert(client.to_owned(), number)),
            None => known.without_client = Some(number),
        }
        let group = Group { model: model.to_owned(), client: client.map(str::to_owned) };
        self.list.push(GroupRecords { group, model: known.number, records: 0, mismatches: 0 });
        number
    }

    fn add_others(&mut self) -> u32 {
        let number = self.list.len() as u32;
        let group = Group { model: OTHERS.to_owned(), client: None };
        let model = self.models.len() as u32;
        self.list.push(GroupRecords { group, model, records: 0, mismatches: 0 });
        self.others = Some(number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_keeps_its_number() {
        let mut groups = Groups::default();
        let names = [("spam", Some("a")), ("spam", None), ("hate", Some("a")), ("spam", Some("b"))];
        let numbers = names.map(|(model, client)| groups.number(model, client));
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(names.map(|(model, client)| groups.number(model, client)), numbers);
        assert_eq!(numbers.map(|number| groups.model_of(number)), [0, 0, 1, 0]);
    }

    #[test]
    fn groups_beyond_the_limit_and_those_with_endless_names_are_the_others() {
        let mut groups = Groups::default();
        for number in 0..MAX_GROUPS + 10 {
            let group = groups.number("spam", Some(&number.to_string()));
            groups.count(group, 1, 0);
        }
        let others = groups.list().last().unwrap();
        assert_eq!((others.group.model.as_str(), others.records), (OTHERS, 10));
        assert_eq!(groups.list().len(), MAX_GROUPS + 1);
        let endless = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(groups.number(&endless, None), MAX_GROUPS as u32);
    }
}
