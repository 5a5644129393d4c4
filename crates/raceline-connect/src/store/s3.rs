//! S3 and what speaks its protocol: options, credentials, limits of patience.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};
use raceline_types::nearest_names;
use tokio::runtime::Handle;

use super::contact::Connector;
use crate::error::ConnectError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Of one request with its body; a large object is read in ranges.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
const RETRIES_MAX: usize = 6;
const RETRY_TIMEOUT: Duration = Duration::from_mins(3);

const ALLOW_HTTP: AmazonS3ConfigKey = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);

/// Spellings of other programs, beside those that `object_store` knows.
const ALIASES: [(&str, AmazonS3ConfigKey); 10] = [
    ("access_key", AmazonS3ConfigKey::AccessKeyId),
    ("key", AmazonS3ConfigKey::AccessKeyId),
    ("secret", AmazonS3ConfigKey::SecretAccessKey),
    ("secret_key", AmazonS3ConfigKey::SecretAccessKey),
    ("endpoint", AmazonS3ConfigKey::S3Endpoint),
    ("endpoint_url", AmazonS3ConfigKey::S3Endpoint),
    ("endpoint_override", AmazonS3ConfigKey::S3Endpoint),
    ("anon", AmazonS3ConfigKey::SkipSignature),
    ("anonymous", AmazonS3ConfigKey::SkipSignature),
    ("allow_http", ALLOW_HTTP),
];

/// Offered when an option is misspelt.
const OPTION_NAMES: [&str; 9] = [
    "access_key_id",
    "allow_http",
    "anonymous",
    "endpoint",
    "region",
    "secret_access_key",
    "session_token",
    "skip_signature",
    "virtual_hosted_style_request",
];

/// The settings of a bucket's client, from the environment and the user's options. Equal
/// settings share a client.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct S3Settings {
    values: BTreeMap<String, (AmazonS3ConfigKey, String)>,
}

impl S3Settings {
    /// `environment` (the variables that start with `AWS_`) overlaid with `options`.
    pub(super) fn new(
        environment: impl IntoIterator<Item = (String, String)>,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectError> {
        let mut settings = Self { values: BTreeMap::new() };
        for (name, value) in environment {
            let known = name.starts_with("AWS_").then(|| name.to_ascii_lowercase());
            if let Some(Ok(key)) = known.map(|name| AmazonS3ConfigKey::from_str(&name)) {
                settings.set(key, value);
            }
        }
        for (name, value) in options {
            settings.set(parse_option(name)?, value.clone());
        }
        let http = settings.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if http {
            settings.set(ALLOW_HTTP, "true".to_owned());
        }
        Ok(settings)
    }

    fn set(&mut self, key: AmazonS3ConfigKey, value: String) {
        // An empty variable is one that is not set.
        if !value.is_empty() {
            self.values.insert(key.as_ref().to_owned(), (key, value));
        }
    }

    fn get(&self, key: AmazonS3ConfigKey) -> Option<&str> {
        self.values.get(key.as_ref()).map(|(_, value)| value.as_str())
    }

    fn endpoint(&self) -> Option<&str> {
        self.get(AmazonS3ConfigKey::S3Endpoint).or_else(|| self.get(AmazonS3ConfigKey::Endpoint))
    }

    /// Where the requests go, for people.
    pub(super) fn endpoint_name(&self) -> String {
        if let Some(endpoint) = self.endpoint() {
            return endpoint.trim_end_matches('/').to_owned();
        }
        let region = self
            .get(AmazonS3ConfigKey::Region)
            .or_else(|| self.get(AmazonS3ConfigKey::DefaultRegion))
            .unwrap_or("us-east-1");
        format!("https://s3.{region}.amazonaws.com")
    }

    /// A client for `bucket` whose requests run on `io`.
    pub(super) fn open(&self, bucket: &str, io: &Handle) -> object_store::Result<AmazonS3> {
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT);
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_retry(RetryConfig {
                backoff,
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_TIMEOUT,
            })
            .with_http_connector(Connector::new(io.clone()));
        for (key, value) in self.values.values() {
            builder = builder.with_config(*key, value);
        }
        builder.with_bucket_name(bucket).build()
    }
}

fn parse_option(name: &str) -> Result<AmazonS3ConfigKey, ConnectError> {
    let lower = name.to_ascii_lowercase();
    let short = lower.strip_prefix("aws_").unwrap_or(&lower);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == short);
    if let Some((_, key)) = alias {
        return Ok(*key);
    }
    AmazonS3ConfigKey::from_str(&lower).map_err(|_| ConnectError::StorageOption {
        name: name.to_owned(),
        nearest: nearest_names(&lower, OPTION_NAMES)
            .into_iter()
            .filter_map(|near| OPTION_NAMES.into_iter().find(|known| *known == near))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)], options: &[(&str, &str)]) -> S3Settings {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        S3Settings::new(own(environment), &own(options).into_iter().collect()).unwrap()
    }

    #[test]
    fn options_win_over_the_environment() {
        let environment = [("AWS_ENDPOINT_URL_S3", "https://a"), ("AWS_ACCESS_KEY_ID", "x")];
        for name in ["endpoint", "endpoint_url", "aws_endpoint", "endpoint_override"] {
            let settings = settings(&environment, &[(name, "http://127.0.0.1:9/"), ("key", "y")]);
            assert_eq!(settings.endpoint_name(), "http://127.0.0.1:9");
            assert_eq!(settings.get(AmazonS3ConfigKey::AccessKeyId), Some("y"));
            assert_eq!(settings.get(ALLOW_HTTP), Some("true"));
        }
    }

    #[test]
    fn without_an_endpoint_the_region_names_it() {
        let settings = settings(&[("AWS_DEFAULT_REGION", "eu-west-1"), ("HOME", "/")], &[]);
        assert_eq!(settings.endpoint_name(), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(settings.get(ALLOW_HTTP), None);
    }

    #[test]
    fn misspelt_options_are_refused_with_the_nearest() {
        let options = BTreeMap::from([("acess_key_id".to_owned(), String::new())]);
        let error = S3Settings::new([], &options).err().unwrap();
        assert_eq!(error.to_string(), "unknown storage option `acess_key_id`");
        let hint = raceline_types::Diagnostic::hint(&error).unwrap();
        assert!(hint.starts_with("did you mean `access_key_id`"), "{hint}");
    }
}
