//! Factory's web application, as far as a program needs it: whether it can be reached.

use async_trait::async_trait;

use crate::http::{Client, HTML_LIMIT, Result};

/// What only `doctor` asks of Factory.
#[async_trait]
pub trait FactoryInspect: Send + Sync {
    /// Whether anything answers; what it answers does not matter.
    async fn reach(&self) -> Result<()>;
}

/// The web application's host.
#[derive(Debug)]
pub struct FactorySite(Client);

impl FactorySite {
    /// `app` is bound to the web application's host and carries no key.
    pub fn new(app: Client) -> Self {
        Self(app)
    }
}

#[async_trait]
impl FactoryInspect for FactorySite {
    async fn reach(&self) -> Result<()> {
        let request = self.0.get(&[]).accept_html().limit(HTML_LIMIT);
        self.0.send(request).await.map(drop)
    }
}
