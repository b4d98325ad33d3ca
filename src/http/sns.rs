//! `POST /aws/sns`: what Amazon SNS delivers, its signature first.
//!
//! The rule that is not obvious: a message that is not believed is answered 403 and counted; one
//! whose certificate could not be fetched 503, because SNS sends it again.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::gate::Peer;
use super::{Shared, error};
use crate::aws::sns::{Kind, Refused};
use crate::intake::Heard;

pub(super) async fn receive(State(edge): Shared, peer: Peer, body: Bytes) -> Response {
    let Some(inbox) = &edge.sns else {
        return error(StatusCode::NOT_FOUND, "no topic is configured: [aws] topics");
    };
    let envelope = match inbox.open(&body, edge.desk.clock.now()).await {
        Ok(envelope) => envelope,
        // Not Amazon's fault; a stranger who names certificates that are not there fills no log with it.
        Err(refused @ Refused::Certificate(_)) => {
            if edge.failures.allow(peer.0, tokio::time::Instant::now()) {
                tracing::warn!(reason = %refused, "a message to /aws/sns cannot be verified now");
            }
            return error(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string());
        }
        Err(refused) => {
            let status = match refused {
                Refused::Unreadable(_) => StatusCode::BAD_REQUEST,
                _ => StatusCode::FORBIDDEN,
            };
            return edge.refuse(peer, "sns", status, &refused.to_string());
        }
    };
    match envelope.kind {
        Kind::SubscriptionConfirmation => match inbox.confirm(&envelope).await {
            Ok(()) => {
                tracing::info!(topic = %envelope.topic_arn, "a subscription is confirmed");
                StatusCode::OK.into_response()
            }
            Err(failure) => {
                tracing::error!(error = %failure, topic = %envelope.topic_arn, "a subscription cannot be confirmed");
                error(StatusCode::SERVICE_UNAVAILABLE, "the subscription could not be confirmed")
            }
        },
        Kind::UnsubscribeConfirmation => {
            tracing::warn!(topic = %envelope.topic_arn, "this topic delivers nothing more: it was unsubscribed");
            StatusCode::OK.into_response()
        }
        Kind::Notification => match edge.desk.aws_message(&envelope.message_id, &envelope.message).await {
            Ok(heard) => {
                match &heard {
                    Heard::Incident(_) => edge.metrics.count("alerts_accepted"),
                    Heard::Closed(ids) => {
                        tracing::info!(count = ids.len(), "closed by an alarm that is OK again");
                    }
                    Heard::Asked => tracing::debug!("a notification that is asked about"),
                    Heard::Nothing(why) => tracing::debug!(why, "a notification that opens nothing"),
                }
                StatusCode::OK.into_response()
            }
            Err(failure) => {
                tracing::error!(error = %failure, "a notification cannot be stored");
                error(StatusCode::SERVICE_UNAVAILABLE, "not stored; send it again")
            }
        },
    }
}
