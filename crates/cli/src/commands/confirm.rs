//! `confirm`, and what other commands do where the server wants a fresh proof of who somebody is.

use clap::Args;
use daypass_api::login::Confirm;
use daypass_api::{Client, Secret, client};
use daypass_core::refusal::Code;
use secrecy::SecretString;

use crate::ask;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Line, Style};

/// Prove anew who you are, on this session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass confirm
  pass show daypass | daypass confirm --password-stdin && daypass request orders-prod/write --reason PAY-7 --no-input

Some access wants a proof that is only minutes old (mfa in the policy). On a terminal you are asked when it is needed; this is
for scripts, and for before. A fresh login is such a proof as well.")]
pub struct ConfirmArgs {
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

impl ConfirmArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let password = ask::password(context, self.password_stdin, "Your password", false)?;
        let confirmed = client.confirm(&said(password)).await?;
        context.out.one(
            &confirmed,
            || confirmed.confirmed_at.to_string(),
            || {
                let what = format!("proved who you are at {}", instant(confirmed.confirmed_at));
                vec![Line::new().with(Style::Good, "✓ ").text(what)]
            },
        );
        Ok(Exit::DONE)
    }
}

fn said(password: SecretString) -> Confirm {
    Confirm {
        password: Secret::new(password),
    }
}

/// Carries out one command. Where the server wants a fresh proof of who somebody is and they can be asked, they are asked for
/// their password, once, and the same command is sent again under the same idempotency key.
pub(crate) async fn proving<T>(
    context: &Context,
    client: &Client,
    call: impl AsyncFn(&Client) -> Result<T, client::Error>,
) -> Result<T, Failure> {
    let keyed = client.for_one_command();
    let refused = match call(&keyed).await {
        Ok(done) => return Ok(done),
        Err(refused) => refused,
    };
    // An API token proves nobody's presence, whatever is typed.
    let can_prove = context.may_ask() && context.env.token.is_none();
    if refused.code() != Some(Code::MfaRequired.into()) || !can_prove {
        return Err(refused.into());
    }
    context
        .out
        .warn("this wants a fresh proof that it is you, besides the session");
    let password = ask::password(context, false, "Your password", false)?;
    client.confirm(&said(password)).await?;
    Ok(call(&keyed).await?)
}
