//! How requests get to each server: what the configuration says of it, with its references followed.

use super::credentials::need;
use super::error::Result;
use crate::config::{ProxyConfig, WayConfig};
use crate::http::{ProxyChoice, Way};
use crate::secrets::{Secret, SecretRef};

/// The way to one of them.
pub(crate) async fn find(config: &WayConfig, to_a_person: bool) -> Result<Way> {
    follow(config, async |place: &str, reference: &SecretRef| {
        need(place, reference, to_a_person).await
    })
    .await
}

/// The same with its secrets as somebody finds them, who is asked for each.
pub(crate) async fn follow<E>(
    config: &WayConfig,
    mut secret: impl AsyncFnMut(&str, &SecretRef) -> Result<Secret, E>,
) -> Result<Way, E> {
    let WayConfig {
        section,
        ca_file,
        client_certificate,
        headers,
        proxy,
    } = config;
    let mut values = Vec::new();
    for (name, reference) in headers {
        let value = secret(&format!("{section}.headers.{name}"), reference).await;
        values.push(value.map(|value| (name.clone(), value)));
    }
    let proxy = match proxy {
        ProxyConfig::Environment => Ok(ProxyChoice::Environment),
        ProxyConfig::None => Ok(ProxyChoice::None),
        ProxyConfig::Address(address) => Ok(ProxyChoice::Address(address.clone())),
        ProxyConfig::Reference(reference) => {
            let address = secret(&format!("{section}.proxy"), reference).await;
            address.map(ProxyChoice::Secret)
        }
    };
    Ok(Way {
        section,
        ca_file: ca_file.clone(),
        client_certificate: client_certificate.clone(),
        headers: values.into_iter().collect::<Result<_, E>>()?,
        proxy: proxy?,
    })
}
