//! What a gateway that runs apart asks. Calls that use up a ticket are made once (`Route::uses_up_a_ticket`), and records are repeated by
//! who has them; the others do no harm when they are repeated, and are.

use super::{Client, Error, LineStream};
use crate::gateway::{
    AskChallenge, AskWaited, CloseLease, DeliverRecords, OpenSession, OpenedSession, Prove, Proved,
    RecordedLines, RegisterGateway, RegisteredGateway, RenewLeases, RenewedLeases, ScramChallenge, WaitedFor,
};
use crate::route::Route;

type Result<T> = std::result::Result<T, Error>;

/// Every method fails with the server's problem, or where no (Daypass) server answers.
#[expect(clippy::missing_errors_doc, reason = "said once, above, for all of them")]
impl Client {
    /// Says that a gateway is there.
    pub async fn register_gateway(&self, gateway: &RegisterGateway) -> Result<RegisteredGateway> {
        self.send(Route::GatewayRegister, &[], gateway).await
    }

    /// What somebody is to prove.
    pub async fn gateway_challenge(&self, ask: &AskChallenge) -> Result<ScramChallenge> {
        self.send(Route::GatewayChallenge, &[], ask).await
    }

    /// Whether they proved it.
    pub async fn gateway_prove(&self, prove: &Prove) -> Result<Proved> {
        self.send(Route::GatewayProve, &[], prove).await
    }

    /// Asks for a session.
    pub async fn gateway_open(&self, open: &OpenSession) -> Result<OpenedSession> {
        self.send(Route::GatewayOpen, &[], open).await
    }

    /// How it went on for somebody who waits.
    pub async fn gateway_wait(&self, ask: &AskWaited) -> Result<WaitedFor> {
        self.send(Route::GatewayWait, &[], ask).await
    }

    /// Renews leases.
    pub async fn gateway_renew(&self, renew: &RenewLeases) -> Result<RenewedLeases> {
        self.send(Route::GatewayRenew, &[], renew).await
    }

    /// Says that a session is over.
    pub async fn gateway_close(&self, close: &CloseLease) -> Result<()> {
        self.send(Route::GatewayClose, &[], close).await
    }

    /// Delivers what happened in one.
    pub async fn gateway_record(&self, records: &DeliverRecords) -> Result<RecordedLines> {
        self.send(Route::GatewayRecord, &[], records).await
    }

    /// Sessions that end, a line each; an empty line every few seconds besides ([`LineStream::next_any`]).
    pub async fn gateway_events(&self) -> Result<LineStream> {
        self.admitted(Route::GatewayEvents).await?;
        let call = self.http.get(self.url(Route::GatewayEvents, &[])?);
        Ok(LineStream::of(self.opened(call).await?, self.server()))
    }
}
