//! One HTTP client for both sides: credentials bound to an origin, limits, retries, no redirects, counting.
//!
//! Everything that leaves this program leaves through [`Client`], so the promises about it are kept in one place: a
//! client talks to the one origin it was made for, follows no redirect, reads no more than it needs, and repeats a
//! request only where that cannot do harm.

mod client;
mod context;
mod cookies;
mod counter;
mod error;
mod failure;
mod journey;
mod markup;
mod proxy;
mod request;
mod response;
mod retry;
mod said;
mod sight;
mod tls;

pub use crate::certificates::{ClientCertificate, Terms};
pub use client::{Client, ClientOptions, Credential, HTML_LIMIT, JSON_LIMIT, Onlooker, Timeouts};
pub use context::{Peer, Way};
pub use counter::{Counter, Counts};
pub use error::{Error, ErrorKind, Result, Side};
pub use journey::Journey;
pub use markup::{TooComplex, parse_html};
pub use proxy::ProxyChoice;
pub use request::Request;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode};
pub use response::Response;
pub use retry::{RetryPolicy, Sleep, parse_date};
pub use said::Said;
