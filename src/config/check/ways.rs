//! How requests get to each server: certificates, headers and proxies.

use super::super::fault::Finding;
use super::super::raw::{RawProxy, RawWay, Spanned, Text};
use super::super::uri;
use super::{Facts, filled, unusable};
use crate::certificates::{self, ClientCertificate};
use crate::model::Diagnostic;
use crate::secrets::SecretRef;

pub(super) fn certificates_can_be_read(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for way in facts.raw.ways() {
        let Some(file) = way.ca_file else { continue };
        let key = format!("{}.ca_file", way.section);
        filled(&key, Some(file), findings);
        if let Some(path) = there(facts, &key, file, findings) {
            findings.extend(
                certificates::authorities(&path)
                    .err()
                    .map(|why| unread(&key, file, why)),
            );
        }
    }
}

/// The whole path of a file that has to be there; none where it is not, or files are not looked for.
fn there(facts: &Facts<'_>, key: &str, file: &Text, findings: &mut Vec<Finding>) -> Option<std::path::PathBuf> {
    let path = facts.folder?.join(file.get());
    if file.trim().is_empty() {
        return None;
    }
    if path.is_file() {
        return Some(path);
    }
    findings.push(Finding::new(
        file.span(),
        format!("`{key}` names no file that is there"),
        "relative paths begin at the folder of the configuration; correct the path, or remove the key",
    ));
    None
}

/// A certificate has its key, which is its own and nobody else's to read.
pub(super) fn client_certificates_are_whole(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for way in facts.raw.ways() {
        let key = |name: &str| format!("{}.{name}", way.section);
        let (certificate_key, key_key) = (key("client_cert_file"), key("client_key_file"));
        filled(&certificate_key, way.client_cert_file, findings);
        filled(&key_key, way.client_key_file, findings);
        match (way.client_cert_file, way.client_key_file) {
            (Some(certificate), Some(key)) => fits(facts, &way, certificate, key, findings),
            (Some(alone), None) if !facts.broken.contains(&key_key) => findings.push(Finding::new(
                alone.span(),
                format!("`{certificate_key}` has no `{key_key}`"),
                "name the file of its private key; where that is in the same file, name it twice",
            )),
            (None, Some(alone)) if !facts.broken.contains(&certificate_key) => findings.push(Finding::new(
                alone.span(),
                format!("`{key_key}` has no `{certificate_key}`"),
                "name the file of the certificate that it is the key of",
            )),
            _ => {}
        }
    }
}

fn fits(facts: &Facts<'_>, way: &RawWay<'_>, certificate: &Text, key: &Text, findings: &mut Vec<Finding>) {
    let (certificate_key, key_key) = (
        format!("{}.client_cert_file", way.section),
        format!("{}.client_key_file", way.section),
    );
    let Some(path) = there(facts, &certificate_key, certificate, findings) else {
        return;
    };
    let Some(folder) = facts.folder.filter(|_| !key.trim().is_empty()) else {
        return;
    };
    let pair = ClientCertificate {
        certificate: path,
        key: folder.join(key.get()),
    };
    if let Err(why) = pair.certificates() {
        findings.push(unread(&certificate_key, certificate, why));
        return;
    }
    // A key stays where it is used: somebody else who looks at the file has none.
    if !pair.key.is_file() {
        findings.push(Finding::warning(
            key.span(),
            format!("`{key_key}` names no file that is there"),
            "the key has to be wherever requests are sent from; relative paths begin at the folder of the configuration",
        ));
        return;
    }
    if let Err(why) = pair.load() {
        findings.push(unread(&key_key, key, why));
    } else if let Some(who) = SecretRef::File(pair.key).readers() {
        findings.push(Finding::warning(
            key.span(),
            format!("`{key_key}` names a file that {who} may read"),
            "run `chmod 600` on the file, and consider the key as known to others",
        ));
    }
}

/// Headers that Setpoint sets itself.
const OWN: [&str; 13] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "deploy-token",
    "host",
    "job-token",
    "private-token",
    "proxy-authorization",
    "user-agent",
];
/// Headers of one connection (RFC 9110, 7.6.1), which are the HTTP library's.
const OF_CONNECTION: [&str; 11] = [
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];
/// Headers by which a request becomes another one: GitLab acts as somebody else, takes another method, or answers a part
/// or nothing.
const ACTING: [&str; 12] = [
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "range",
    "referer",
    "sudo",
    "x-csrf-token",
    "x-http-method-override",
    "x-method-override",
];

pub(super) fn headers_may_be_set(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for way in facts.raw.ways() {
        let mut seen = Vec::new();
        for name in way.headers.into_iter().flat_map(|headers| headers.keys()) {
            let folded = name.to_ascii_lowercase();
            let place = format!("{}.headers", way.section);
            let fault = |what: &str, hint: &str| Finding::new(name.span(), format!("`{place}` {what}"), hint);
            if !is_token(name) {
                findings.push(fault(
                    "has a key that is no name of a header",
                    "write the header's name as it is sent, such as `CF-Access-Client-Id`",
                ));
            } else if OWN.contains(&folded.as_str()) {
                findings.push(fault(
                    &format!("may not set {}, which Setpoint sets itself", name.get()),
                    "remove it; credentials of the server itself have keys of their own, such as `token`",
                ));
            } else if OF_CONNECTION.contains(&folded.as_str()) {
                findings.push(fault(
                    &format!("may not set {}, which is about one connection", name.get()),
                    "remove it: it would not reach the server",
                ));
            } else if ACTING.contains(&folded.as_str()) {
                findings.push(fault(
                    &format!("may not set {}, which makes another request of each", name.get()),
                    "remove it: what Setpoint asks would not be what is answered",
                ));
            } else if seen.contains(&folded) {
                findings.push(fault(
                    &format!("sets {} twice", name.get()),
                    "keep one: the letters' case makes no difference in a header's name",
                ));
            }
            seen.push(folded);
        }
    }
}

/// What a header's name may be (RFC 9110, 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn unread(key: &str, file: &Text, why: Diagnostic) -> Finding {
    let hint = why.hint.unwrap_or_default();
    Finding::new(file.span(), format!("`{key}` cannot be used: {}", why.message), hint)
}

pub(super) fn proxies_are_addresses(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for way in facts.raw.ways() {
        let Some(RawProxy::Address(text)) = way.proxy.map(Spanned::get) else {
            continue;
        };
        if text.get() != uri::NO_PROXY
            && let Err(problem) = uri::proxy(text)
        {
            findings.push(unusable(&format!("{}.proxy", way.section), text.span(), &problem));
        }
    }
}
