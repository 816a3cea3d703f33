//! Removes what no version needs any more: the last two versions of a name are kept.

use std::collections::BTreeSet;

use crate::Error;
use crate::release::is_of;
use crate::site::{Site, endpoints_of};
use crate::store::Store;
use crate::tag;

/// How many versions are kept, if not more of them are in use.
const KEPT: usize = 2;

/// Deletes the models and configs of `name` that are neither in use, nor what a rollback goes
/// back to, nor among the last two; on the host, their uploads as well.
pub(crate) async fn prune(site: &Site, store: &Store, name: &str) -> Result<(), Error> {
    let configs = configs_in_use(site, name).await?;
    let mut models = BTreeSet::new();
    for config in &configs {
        models.extend(site.sagemaker.model_of(config).await?);
    }
    let own = own_models(site, name).await?;
    for model in &own {
        if models.len() < KEPT {
            models.insert(model.clone());
        }
    }
    for config in site.sagemaker.configs(name).await? {
        let is_spare = is_of(name, &config) && !configs.contains(&config);
        if is_spare && !is_kept_with(&config, &models) {
            site.sagemaker.delete_config(&config).await?;
        }
    }
    for model in own.iter().filter(|model| !models.contains(*model)) {
        site.sagemaker.delete_model(model).await?;
        let data = upload_of(name, model);
        if site.removes_uploads() && !models.iter().any(|kept| upload_of(name, kept) == data) {
            store.remove(data).await?;
        }
    }
    Ok(())
}

/// What the name's endpoints serve, are on their way to, or would go back to.
async fn configs_in_use(site: &Site, name: &str) -> Result<BTreeSet<String>, Error> {
    let mut configs = BTreeSet::new();
    for endpoint in endpoints_of(name) {
        // An endpoint of another name may use what is ours as well, so its owner does not matter.
        let Some(found) = site.sagemaker.endpoint(&endpoint).await? else { continue };
        let tags = site.sagemaker.tags(&found.arn).await?;
        configs.insert(found.config);
        configs.extend(found.pending);
        configs.extend(
            [tag::CONFIG, tag::PREVIOUS_CONFIG].iter().filter_map(|key| tags.get(*key).cloned()),
        );
    }
    Ok(configs)
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

/// A kept version keeps its configs: going back to other limits costs nothing.
fn is_kept_with(config: &str, models: &BTreeSet<String>) -> bool {
    let model = config.rsplit_once('-').map_or(config, |(model, _)| model);
    models.contains(model)
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
        assert!(is_kept_with("spam-0123456789ab-1x50", &models));
        assert!(!is_kept_with("spam-0123456789ab-v0a-1x50", &models));
        assert_eq!(upload_of("spam", "spam-0123456789ab-v0a"), "spam-0123456789ab");
    }
}
