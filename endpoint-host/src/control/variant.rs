//! Variants of an endpoint configuration: how many there may be, and their sizes.

use super::fields::Fields;
use crate::api_error::ApiError;
use crate::record::{ServerlessConfig, Variant};

/// The memory sizes of serverless endpoints:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html>
const MEMORY_SIZES_MB: [u16; 6] = [1024, 2048, 3072, 4096, 5120, 6144];

/// The highest `MaxConcurrency` and `ProvisionedConcurrency` of a serverless endpoint.
const LARGEST_CONCURRENCY: i64 = 200;

/// The most variants of one kind.
const MOST_VARIANTS: usize = 10;

/// The variants of an endpoint configuration.
pub(super) struct Variants {
    /// Those that answer.
    pub(super) production: Vec<Variant>,
    /// Those that get copies.
    pub(super) shadows: Vec<Variant>,
}

/// Takes the variants; on AWS a serverless configuration has exactly one.
pub(super) fn take(fields: &mut Fields, beyond_aws: bool) -> Result<Variants, ApiError> {
    let missing = fields.missing("ProductionVariants");
    let production = list(fields, "ProductionVariants")?.ok_or(missing)?;
    let shadows = list(fields, "ShadowProductionVariants")?;
    if !beyond_aws && (production.len() > 1 || shadows.is_some()) {
        return Err(ApiError::validation(
            "Serverless endpoints have exactly one variant: several ProductionVariants and \
             ShadowProductionVariants are not supported; start the host with --beyond-aws",
        ));
    }
    let variants = Variants { production, shadows: shadows.unwrap_or_default() };
    let shadowed = !variants.shadows.is_empty();
    if shadowed && (variants.production.len() > 1 || variants.shadows.len() > 1) {
        return Err(ApiError::validation(
            "ShadowProductionVariants has one variant, beside exactly one in ProductionVariants",
        ));
    }
    variants.check_names()?;
    variants.check_weights()?;
    Ok(variants)
}

fn list(fields: &mut Fields, field: &str) -> Result<Option<Vec<Variant>>, ApiError> {
    let Some(variants) = fields.objects(field)? else {
        return Ok(None);
    };
    match variants.len() {
        0 => Err(fields.too_short(field, "[]", 1)),
        1..=MOST_VARIANTS => variants.into_iter().map(parse).collect::<Result<_, _>>().map(Some),
        more => Err(fields.too_long(field, &more.to_string(), MOST_VARIANTS)),
    }
}

fn parse(mut fields: Fields) -> Result<Variant, ApiError> {
    let variant_name = fields.name("VariantName")?;
    let model_name = fields.name("ModelName")?;
    let weight = fields.weight("InitialVariantWeight")?.unwrap_or(1.0);
    let size = fields.object("ServerlessConfig")?;
    let missing = fields.missing("ServerlessConfig");
    fields.finish()?;
    let serverless_config = parse_size(size.ok_or(missing)?)?;
    Ok(Variant { variant_name, model_name, initial_variant_weight: weight, serverless_config })
}

fn parse_size(mut fields: Fields) -> Result<ServerlessConfig, ApiError> {
    let memory = fields.integer("MemorySizeInMB")?;
    let memory = memory.ok_or_else(|| fields.missing("MemorySizeInMB"))?;
    let known = MEMORY_SIZES_MB.into_iter().find(|size| i64::from(*size) == memory);
    let memory_size_in_mb = known.ok_or_else(|| {
        let rule = format!("Member must satisfy enum value set: {MEMORY_SIZES_MB:?}");
        fields.violation("MemorySizeInMB", &memory.to_string(), &rule)
    })?;
    let concurrency = concurrency(&mut fields, "MaxConcurrency")?;
    let max_concurrency = concurrency.ok_or_else(|| fields.missing("MaxConcurrency"))?;
    let provisioned_concurrency = self::concurrency(&mut fields, "ProvisionedConcurrency")?;
    fields.finish()?;
    let size = ServerlessConfig { memory_size_in_mb, max_concurrency, provisioned_concurrency };
    check_concurrency(&size).map(|()| size)
}

/// Takes a number of calls or containers.
pub(super) fn concurrency(fields: &mut Fields, field: &str) -> Result<Option<u8>, ApiError> {
    let given = fields.integer_within(field, 1, LARGEST_CONCURRENCY)?;
    Ok(given.map(|number| u8::try_from(number).expect("the number is between 1 and 200")))
}

/// No more containers are kept warm than may run.
pub(super) fn check_concurrency(size: &ServerlessConfig) -> Result<(), ApiError> {
    match size.provisioned_concurrency {
        Some(provisioned) if provisioned > size.max_concurrency => {
            Err(ApiError::validation(format!(
                "ProvisionedConcurrency {provisioned} must be less than or equal to \
                 MaxConcurrency {}",
                size.max_concurrency
            )))
        }
        _ => Ok(()),
    }
}

impl Variants {
    fn check_names(&self) -> Result<(), ApiError> {
        let all: Vec<_> = self.production.iter().chain(&self.shadows).collect();
        for (index, variant) in all.iter().enumerate() {
            let name = &variant.variant_name;
            if all[..index].iter().any(|earlier| earlier.variant_name == *name) {
                return Err(ApiError::validation(format!("variant name `{name}` is given twice")));
            }
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<(), ApiError> {
        if self.production.iter().any(|variant| variant.initial_variant_weight > 0.0) {
            return Ok(());
        }
        Err(no_weight())
    }
}

/// The refusal of weights by which no variant would be called.
pub(super) fn no_weight() -> ApiError {
    ApiError::validation("no production variant has a weight above 0: none would be called")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn size(json: &str) -> Result<ServerlessConfig, ApiError> {
        parse_size(Fields::parse(json.as_bytes()).unwrap())
    }

    fn variant(name: &str, weight: f64) -> Value {
        let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": 1});
        json!({"VariantName": name, "ModelName": "m", "InitialVariantWeight": weight, "ServerlessConfig": size})
    }

    fn variants(production: &[Value], shadows: &[Value]) -> Result<Variants, ApiError> {
        let mut given = json!({"ProductionVariants": production});
        if !shadows.is_empty() {
            given["ShadowProductionVariants"] = json!(shadows);
        }
        take(&mut Fields::parse(given.to_string().as_bytes()).unwrap(), true)
    }

    #[test]
    fn serverless_sizes_are_those_of_sagemaker() {
        for good in [
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 6144, "MaxConcurrency": 200, "ProvisionedConcurrency": 200}"#,
        ] {
            assert!(size(good).is_ok(), "{good}");
        }
        for bad in [
            r#"{"MemorySizeInMB": 1000, "MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 7168, "MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 0}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 201}"#,
            r#"{"MemorySizeInMB": 1024}"#,
            r#"{"MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 0}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 3}"#,
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn beyond_aws_there_are_ten_variants_or_one_with_one_shadow() {
        let ten: Vec<_> = (0..10).map(|n| variant(&format!("v{n}"), 1.0)).collect();
        assert_eq!(variants(&ten, &[]).unwrap().production.len(), 10);
        assert_eq!(variants(&ten[..1], &ten[1..2]).unwrap().shadows.len(), 1);
        let eleven: Vec<_> = ten.iter().cloned().chain([variant("v10", 1.0)]).collect();
        for (production, shadows) in [
            (&eleven[..], &[][..]),
            (&[], &[]),
            (&ten[..2], &ten[2..3]),
            (&ten[..1], &ten[1..3]),
            (&ten[..1], &ten[..1]),
            (&[variant("a", 0.0), variant("b", 0.0)], &[]),
            (&[variant("a", -1.0)], &[]),
        ] {
            assert!(variants(production, shadows).is_err(), "{production:?} {shadows:?}");
        }
        assert!(variants(&[variant("a", 0.0), variant("b", 0.5)], &[]).is_ok());
    }
}
