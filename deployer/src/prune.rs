//! Removes what no version needs any more: the last two versions of a name are kept.

use std::collections::BTreeSet;

use aws_sdk_sagemaker::primitives::DateTime;

use crate::release::is_of;
use crate::site::{Site, endpoints_of};
use crate::store::Store;
use crate::tag::Previous;
use crate::{Error, tag};

/// How many versions are kept, if not more of them are in use.
const KEPT: usize = 2;

/// Deletes the models and configs of `name` that are neither in use, nor what a rollback goes
/// back to, nor among the last two; and their uploads, where those are a folder's: a bucket has
/// rules of its own, and other readers.
pub(crate) async fn prune(site: &Site, store: &Store, name: &str) -> Result<(), Error> {
    let mut used = used_by_own(site, name).await?;
    let own = own_models(site, name).await?;
    for model in &own {
        if used.models.len() < KEPT {
            used.models.insert(model.clone());
        }
    }
    let configs = site.sagemaker.configs(name).await?;
    let is_spare = |used: &Used, config: &str| is_of(name, config) && !used.keeps(config);
    let spare = configs.iter().filter(|(config, _)| is_spare(&used, config));
    if let Some(oldest) = spare.map(|(_, created)| *created).min() {
        add_used_by_others(site, name, oldest, &mut used).await?;
    }
    for (config, _) in configs.iter().filter(|(config, _)| is_spare(&used, config)) {
        site.sagemaker.delete_config(config).await?;
    }
    for model in own.iter().filter(|model| !used.models.contains(*model)) {
        site.sagemaker.delete_model(model).await?;
        let data = upload_of(name, model);
        let is_last = !used.models.iter().any(|kept| upload_of(name, kept) == data);
        if is_last && matches!(store, Store::Folder(_)) {
            store.remove(data).await?;
        }
    }
    Ok(())
}

/// What endpoints need.
#[derive(Debug, Default)]
struct Used {
    configs: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Used {
    async fn add(&mut self, site: &Site, config: String) -> Result<(), Error> {
        if !self.configs.contains(&config) {
            let found = site.sagemaker.config(&config).await?;
            self.models.extend(found.and_then(|found| found.model));
            self.configs.insert(config);
        }
        Ok(())
    }

    /// Whether a config is in use, or of a model that is kept: going back to other limits then
    /// costs nothing.
    fn keeps(&self, config: &str) -> bool {
        let model = config.rsplit_once('-').map_or(config, |(model, _)| model);
        self.configs.contains(config) || self.models.contains(model)
    }
}

/// What the name's endpoints serve, are on their way to, or would go back to.
async fn used_by_own(site: &Site, name: &str) -> Result<Used, Error> {
    let mut used = Used::default();
    for endpoint in endpoints_of(name) {
        // An endpoint of another name may use what is ours as well, so its owner does not matter.
        let Some(found) = site.sagemaker.endpoint(&endpoint).await? else { continue };
        let tags = site.sagemaker.tags(&found.arn).await?;
        let previous = Previous::of(&tags);
        let previous = previous.iter().filter_map(|previous| previous.config());
        let noted = tags.get(tag::CONFIG).map(String::as_str).into_iter().chain(previous);
        for config in [found.config].into_iter().chain(found.pending).chain(noted.map(Into::into)) {
            used.add(site, config).await?;
        }
    }
    Ok(used)
}

/// What somebody else's endpoints use of what is old enough; those untouched since can't.
async fn add_used_by_others(
    site: &Site,
    name: &str,
    oldest: DateTime,
    used: &mut Used,
) -> Result<(), Error> {
    for summary in site.sagemaker.endpoints().await? {
        let is_older = summary.last_modified_time.is_some_and(|time| time < oldest);
        let endpoint = summary.endpoint_name.unwrap_or_default();
        if is_older || endpoints_of(name).contains(&endpoint) {
            continue;
        }
        let Some(found) = site.sagemaker.endpoint(&endpoint).await? else { continue };
        for config in [found.config].into_iter().chain(found.pending) {
            used.add(site, config).await?;
        }
    }
    Ok(())
}

/// The models that were deployed as `name`, the newest first.
async fn own_models(site: &Site, name: &str) -> Result<Vec<String>, Error> {
    let mut own = Vec::new();
    for model in site.sagemaker.models(name).await? {
        let (Some(model), Some(arn)) = (model.model_name, model.model_arn) else { continue };
        if is_of(name, &model)
            && site.sagemaker.tags(&arn).await?.get(tag::NAME).is_some_and(|owner| owner == name)
        {
            own.push(model);
        }
    }
    Ok(own)
}

/// The upload of a model, which is named after the package alone.
fn upload_of<'a>(name: &str, model: &'a str) -> &'a str {
    &model[..model.len().min(name.len() + 13)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_and_uploads_are_known_by_their_models() {
        let models = BTreeSet::from(["spam-0123456789ab".to_owned()]);
        let used = Used { models, ..Used::default() };
        assert!(used.keeps("spam-0123456789ab-1x50"));
        assert!(!used.keeps("spam-0123456789ab-v0a-1x50"));
        assert_eq!(upload_of("spam", "spam-0123456789ab-v0a"), "spam-0123456789ab");
    }
}
