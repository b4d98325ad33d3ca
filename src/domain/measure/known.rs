//! The metrics of AWS's own namespaces that services are judged by.
//!
//! From AWS's user guides, the CloudWatch chapter of each service, read in 2025: which statistic is the useful
//! one, and in which unit times are. Where AWS publishes one ready figure a minute (RDS, DynamoDB, ElastiCache,
//! Kinesis), there is no distribution to ask percentiles of.

use super::{COUNTS, DISTRIBUTION, Gauge, LEFT, Measure, USED};

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    /// What happened in a period.
    Count(Measure),
    /// So much a second, as AWS computes it.
    Rate,
    /// Times with their distribution; milliseconds per unit.
    Times(f64),
    /// Times of which only the average and the extremes are published.
    TimesAveraged(f64),
    /// The same, one sample a successful request.
    TimesOfSuccesses(f64),
    Used(Gauge),
    Left(Gauge),
    /// A level that AWS publishes in parts, which are to be added.
    InParts(Gauge),
    Concurrency,
    Provided,
    /// The worst of what is provided is its highest.
    Ailing,
}

impl Known {
    pub fn statistics(self) -> &'static [&'static str] {
        match self {
            Self::Count(_) | Self::InParts(_) => COUNTS,
            Self::Rate => &["Average"],
            Self::Times(_) => DISTRIBUTION,
            Self::TimesAveraged(_) | Self::Used(_) | Self::Ailing => USED,
            Self::TimesOfSuccesses(_) => &["Average", "Maximum", "SampleCount"],
            Self::Left(_) | Self::Provided => LEFT,
            Self::Concurrency => &["Maximum"],
        }
    }

    pub fn measure_of(self, stat: &str) -> Measure {
        match (self, stat) {
            // One sample a request, whatever its value.
            (Self::Count(Measure::Requests), "Sum" | "SampleCount") => Measure::Requests,
            (Self::Count(measure), "Sum") => measure,
            (Self::TimesOfSuccesses(_), "SampleCount") => Measure::Successes,
            (Self::Provided | Self::Ailing, _) => Measure::Provided,
            (Self::Count(_) | Self::Rate, _) | (_, "SampleCount") => Measure::Other,
            (Self::Times(_) | Self::TimesAveraged(_) | Self::TimesOfSuccesses(_), "Sum") => Measure::Other,
            (Self::Times(_) | Self::TimesAveraged(_) | Self::TimesOfSuccesses(_), _) => Measure::Latency,
            (Self::Used(gauge) | Self::Left(gauge) | Self::InParts(gauge), _) => Measure::Gauge(gauge),
            (Self::Concurrency, _) => Measure::Concurrency,
        }
    }

    /// Milliseconds per unit, of times.
    pub fn milliseconds(self) -> Option<f64> {
        match self {
            Self::Times(unit) | Self::TimesAveraged(unit) | Self::TimesOfSuccesses(unit) => Some(unit),
            _ => None,
        }
    }
}

pub(super) fn known(namespace: &str, metric: &str) -> Option<Known> {
    let (_, rows) = TABLE.iter().find(|(namespaces, _)| namespaces.contains(&namespace))?;
    rows.iter().find(|(_, names)| names.contains(&metric)).map(|(known, _)| *known)
}

const REQUESTS: Known = Known::Count(Measure::Requests);
const FAILURES: Known = Known::Count(Measure::Failures);
const REFUSALS: Known = Known::Count(Measure::Refusals);
const SUCCESSES: Known = Known::Count(Measure::Successes);
const THROTTLES: Known = Known::Count(Measure::Throttles);
const BLOCKED: Known = Known::Count(Measure::Blocked);
/// Counts of something that is neither a request of its own nor its outcome.
const WORK: Known = Known::Count(Measure::Other);
const SECONDS: f64 = 1000.0;
const MILLISECONDS: f64 = 1.0;
const MICROSECONDS: f64 = 0.001;

type Rows = &'static [(Known, &'static [&'static str])];

#[rustfmt::skip]
const TABLE: &[(&[&str], Rows)] = &[
    (&["AWS/Lambda"], &[
        (REQUESTS, &["Invocations"]),
        (FAILURES, &["Errors", "DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped", "RecursiveInvocationsDropped"]),
        (THROTTLES, &["Throttles"]),
        // Parts of the invocations.
        (WORK, &["ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations", "AsyncEventsReceived"]),
        (Known::Times(MILLISECONDS), &["Duration", "PostRuntimeExtensionsDuration"]),
        (Known::Concurrency, &["ConcurrentExecutions", "UnreservedConcurrentExecutions", "ProvisionedConcurrentExecutions", "ClaimedAccountConcurrency"]),
        (Known::Used(Gauge::Other), &["ProvisionedConcurrencyUtilization"]),
        (Known::Used(Gauge::Queue), &["IteratorAge", "AsyncEventAge", "OffsetLag"]),
    ]),
    (&["AWS/ECS"], &[
        (Known::Used(Gauge::Cpu), &["CPUUtilization", "CPUReservation"]),
        (Known::Used(Gauge::Memory), &["MemoryUtilization", "MemoryReservation"]),
        (Known::Used(Gauge::Disk), &["EBSFilesystemUtilization"]),
        (Known::Used(Gauge::Connections), &["ActiveConnectionCount"]),
        (REQUESTS, &["RequestCount"]),
        (SUCCESSES, &["HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count"]),
        (REFUSALS, &["HTTPCode_Target_4XX_Count"]),
        (FAILURES, &["HTTPCode_Target_5XX_Count", "ClientTLSNegotiationErrorCount", "TargetTLSNegotiationErrorCount"]),
        (WORK, &["NewConnectionCount", "ProcessedBytes", "RequestCountPerTarget"]),
        // Service Connect, unlike a load balancer, publishes milliseconds.
        (Known::Times(MILLISECONDS), &["TargetResponseTime"]),
    ]),
    (&["ECS/ContainerInsights"], &[
        (Known::Used(Gauge::Cpu), &["CpuUtilized", "TaskCpuUtilization", "ContainerCpuUtilization", "ContainerCpuUtilized"]),
        (Known::Used(Gauge::Memory), &["MemoryUtilized", "TaskMemoryUtilization", "ContainerMemoryUtilization", "ContainerMemoryUtilized"]),
        (Known::Used(Gauge::Disk), &["EphemeralStorageUtilized", "TaskEphemeralStorageUtilization", "EBSFilesystemUtilized"]),
        (Known::Provided, &["RunningTaskCount", "DesiredTaskCount", "TaskCount", "ServiceCount", "DeploymentCount", "TaskSetCount", "ContainerInstanceCount",
            "CpuReserved", "MemoryReserved", "ContainerCpuReserved", "ContainerMemoryReserved", "EphemeralStorageReserved"]),
        (Known::Ailing, &["PendingTaskCount", "UnHealthyContainerHealthStatus"]),
        (Known::Rate, &["NetworkRxBytes", "NetworkTxBytes", "StorageReadBytes", "StorageWriteBytes", "ContainerNetworkRxBytes", "ContainerNetworkTxBytes"]),
        (WORK, &["RestartCount"]),
    ]),
    (&["AWS/ApplicationELB"], &[
        (REQUESTS, &["RequestCount"]),
        (SUCCESSES, &["HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "ELBAuthSuccess"]),
        (REFUSALS, &["HTTPCode_Target_4XX_Count", "HTTPCode_ELB_4XX_Count", "ClientTLSNegotiationErrorCount", "ELBAuthFailure", "LambdaUserError"]),
        (FAILURES, &["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_500_Count", "HTTPCode_ELB_502_Count", "HTTPCode_ELB_503_Count",
            "HTTPCode_ELB_504_Count", "TargetConnectionErrorCount", "TargetTLSNegotiationErrorCount", "RejectedConnectionCount", "LambdaInternalError",
            "LambdaTargetProcessingError", "ELBAuthError"]),
        // The same requests counted again, or parts of them.
        (WORK, &["RequestCountPerTarget", "HTTPCode_ELB_3XX_Count", "NewConnectionCount", "ProcessedBytes", "RuleEvaluations", "GrpcRequestCount", "IPv6RequestCount",
            "IPv6ProcessedBytes", "HTTP_Redirect_Count", "HTTP_Redirect_Url_Limit_Exceeded_Count", "HTTP_Fixed_Response_Count", "NonStickyRequestCount",
            "StandardProcessedBytes", "LambdaTargetProcessedBytes", "ForwardedInvalidHeaderRequestCount", "DroppedInvalidHeaderRequestCount",
            "UnhealthyRoutingRequestCount", "ELBAuthRefreshTokenSuccess", "ELBAuthUserClaimsSizeExceeded"]),
        (Known::Times(SECONDS), &["TargetResponseTime"]),
        (Known::Times(MILLISECONDS), &["ELBAuthLatency"]),
        (Known::InParts(Gauge::Connections), &["ActiveConnectionCount"]),
        (Known::Rate, &["ConsumedLCUs", "PeakLCUs"]),
        (Known::Provided, &["HealthyHostCount", "HealthyStateRouting", "HealthyStateDNS", "MitigatedHostCount"]),
        (Known::Ailing, &["UnHealthyHostCount", "UnhealthyStateRouting", "UnhealthyStateDNS", "AnomalousHostCount"]),
    ]),
    (&["AWS/NetworkELB"], &[
        (REQUESTS, &["NewFlowCount"]),
        (WORK, &["NewFlowCount_TCP", "NewFlowCount_TLS", "NewFlowCount_UDP", "ProcessedBytes", "ProcessedBytes_TCP", "ProcessedBytes_TLS", "ProcessedPackets",
            "UnhealthyRoutingFlowCount"]),
        // Both ends reset connections every day; many at once are a sign.
        (REFUSALS, &["TCP_Client_Reset_Count", "TCP_Target_Reset_Count", "ClientTLSNegotiationErrorCount"]),
        (FAILURES, &["TCP_ELB_Reset_Count", "TargetTLSNegotiationErrorCount", "PortAllocationErrorCount", "RejectedFlowCount", "RejectedFlowCount_TCP"]),
        (Known::Used(Gauge::Connections), &["ActiveFlowCount", "ActiveFlowCount_TCP", "ActiveFlowCount_TLS", "ActiveFlowCount_UDP"]),
        (Known::Rate, &["ConsumedLCUs", "ConsumedLCUs_TCP", "ConsumedLCUs_TLS", "PeakBytesPerSecond", "PeakPacketsPerSecond"]),
        (Known::Provided, &["HealthyHostCount"]),
        (Known::Ailing, &["UnHealthyHostCount"]),
    ]),
    (&["AWS/ELB"], &[
        (REQUESTS, &["RequestCount"]),
        (SUCCESSES, &["HTTPCode_Backend_2XX", "HTTPCode_Backend_3XX"]),
        (REFUSALS, &["HTTPCode_Backend_4XX", "HTTPCode_ELB_4XX"]),
        (FAILURES, &["HTTPCode_Backend_5XX", "HTTPCode_ELB_5XX", "BackendConnectionErrors", "SpilloverCount"]),
        (Known::Times(SECONDS), &["Latency"]),
        (Known::Used(Gauge::Queue), &["SurgeQueueLength"]),
        (Known::Provided, &["HealthyHostCount"]),
        (Known::Ailing, &["UnHealthyHostCount"]),
    ]),
    (&["AWS/ApiGateway"], &[
        (REQUESTS, &["Count", "MessageCount"]),
        // REST APIs write them large, HTTP APIs small, and WebSocket APIs otherwise.
        (REFUSALS, &["4XXError", "4xx", "ClientError"]),
        (FAILURES, &["5XXError", "5xx", "IntegrationError", "ExecutionError"]),
        (WORK, &["CacheHitCount", "CacheMissCount", "DataProcessed", "ConnectCount"]),
        (Known::Times(MILLISECONDS), &["Latency", "IntegrationLatency"]),
    ]),
    // Classic rules publish under the shorter name.
    (&["AWS/WAFV2", "WAF"], &[
        (BLOCKED, &["BlockedRequests"]),
        // What passes is counted again behind it.
        (WORK, &["AllowedRequests", "CountedRequests", "PassedRequests", "CaptchaRequests", "ChallengeRequests"]),
    ]),
    (&["AWS/SQS"], &[
        (REQUESTS, &["NumberOfMessagesSent"]),
        (SUCCESSES, &["NumberOfMessagesDeleted"]),
        // A message that nobody deletes is received again and again.
        (WORK, &["NumberOfMessagesReceived", "NumberOfEmptyReceives"]),
        (Known::Rate, &["SentMessageSize"]),
        (Known::Used(Gauge::Queue), &["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesDelayed", "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfGroupsWithInflightMessages"]),
        (Known::Concurrency, &["ApproximateNumberOfMessagesNotVisible"]),
    ]),
    (&["AWS/RDS", "AWS/DocDB", "AWS/Neptune"], &[
        (Known::Used(Gauge::Cpu), &["CPUUtilization"]),
        (Known::Left(Gauge::Other), &["CPUCreditBalance", "CPUSurplusCreditBalance", "BurstBalance", "EBSIOBalance%", "EBSByteBalance%"]),
        (Known::Used(Gauge::Connections), &["DatabaseConnections"]),
        (Known::Left(Gauge::Disk), &["FreeStorageSpace", "FreeLocalStorage", "FreeEphemeralStorage", "FreeStorageSpaceLogVolume"]),
        (Known::Left(Gauge::Memory), &["FreeableMemory"]),
        (Known::Used(Gauge::Memory), &["SwapUsage"]),
        (Known::Used(Gauge::Disk), &["BinLogDiskUsage", "TransactionLogsDiskUsage", "ReplicationSlotDiskUsage", "VolumeBytesUsed"]),
        (Known::Used(Gauge::Queue), &["DiskQueueDepth", "ReplicaLag", "AuroraReplicaLag", "AuroraReplicaLagMaximum", "OldestReplicationSlotLag"]),
        (Known::Used(Gauge::Other), &["MaximumUsedTransactionIDs", "DBLoad", "DBLoadCPU", "DBLoadNonCPU", "ACUUtilization", "ServerlessDatabaseCapacity"]),
        (Known::Rate, &["ReadIOPS", "WriteIOPS", "ReadThroughput", "WriteThroughput", "NetworkReceiveThroughput", "NetworkTransmitThroughput", "CPUCreditUsage",
            "CPUSurplusCreditsCharged", "Deadlocks", "Queries", "SelectThroughput", "DMLThroughput", "DDLThroughput", "CommitThroughput", "LoginFailures",
            "ConnectionAttempts", "BlockedTransactions", "BufferCacheHitRatio", "EngineUptime", "CheckpointLag", "NumVCPUs"]),
        (Known::TimesAveraged(SECONDS), &["ReadLatency", "WriteLatency", "ReadLatencyLogVolume", "WriteLatencyLogVolume"]),
        // Aurora's own latencies, unlike those of its volumes, are in milliseconds.
        (Known::TimesAveraged(MILLISECONDS), &["CommitLatency", "SelectLatency", "DMLLatency", "DDLLatency", "InsertLatency", "UpdateLatency", "DeleteLatency"]),
    ]),
    (&["AWS/DynamoDB"], &[
        (Known::TimesOfSuccesses(MILLISECONDS), &["SuccessfulRequestLatency"]),
        (FAILURES, &["SystemErrors"]),
        (REFUSALS, &["UserErrors", "ConditionalCheckFailedRequests", "TransactionConflict"]),
        (THROTTLES, &["ThrottledRequests", "ReadThrottleEvents", "WriteThrottleEvents"]),
        (WORK, &["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReturnedItemCount", "ReturnedBytes", "ReturnedRecordsCount", "TimeToLiveDeletedItemCount"]),
        (Known::Provided, &["ProvisionedReadCapacityUnits", "ProvisionedWriteCapacityUnits", "AccountMaxReads", "AccountMaxWrites", "AccountMaxTableLevelReads",
            "AccountMaxTableLevelWrites"]),
        (Known::Used(Gauge::Other), &["AccountProvisionedReadCapacityUtilization", "AccountProvisionedWriteCapacityUtilization",
            "MaxProvisionedTableReadCapacityUtilization", "MaxProvisionedTableWriteCapacityUtilization"]),
        (Known::Used(Gauge::Queue), &["ReplicationLatency", "AgeOfOldestUnreplicatedRecord", "PendingReplicationCount"]),
    ]),
    (&["AWS/ElastiCache"], &[
        (Known::Used(Gauge::Cpu), &["CPUUtilization", "EngineCPUUtilization"]),
        (Known::Left(Gauge::Other), &["CPUCreditBalance"]),
        (Known::Used(Gauge::Memory), &["DatabaseMemoryUsagePercentage", "DatabaseMemoryUsageCountedForEvictPercentage", "DatabaseCapacityUsagePercentage",
            "BytesUsedForCache", "SwapUsage"]),
        (Known::Left(Gauge::Memory), &["FreeableMemory"]),
        (Known::Used(Gauge::Connections), &["CurrConnections"]),
        (Known::Used(Gauge::Queue), &["ReplicationLag"]),
        (Known::TimesAveraged(MICROSECONDS), &["SuccessfulReadRequestLatency", "SuccessfulWriteRequestLatency", "StringBasedCmdsLatency", "GetTypeCmdsLatency",
            "SetTypeCmdsLatency"]),
        (FAILURES, &["ErrorCount"]),
        (REFUSALS, &["AuthenticationFailures", "KeyAuthorizationFailures", "CommandAuthorizationFailures"]),
        (WORK, &["NewConnections", "Evictions", "Reclaimed", "CacheHits", "CacheMisses", "GetTypeCmds", "SetTypeCmds", "StringBasedCmds", "NetworkBytesIn",
            "NetworkBytesOut", "NetworkBandwidthInAllowanceExceeded", "NetworkBandwidthOutAllowanceExceeded", "NetworkPacketsPerSecondAllowanceExceeded",
            "NetworkConntrackAllowanceExceeded"]),
        (Known::Rate, &["CacheHitRate", "CurrItems", "CPUCreditUsage", "MemoryFragmentationRatio"]),
    ]),
    (&["AWS/Kinesis"], &[
        (REQUESTS, &["IncomingRecords"]),
        (FAILURES, &["PutRecords.FailedRecords"]),
        (THROTTLES, &["ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded", "PutRecords.ThrottledRecords"]),
        (WORK, &["IncomingBytes", "OutgoingRecords", "OutgoingBytes", "GetRecords.Records", "GetRecords.Bytes", "PutRecord.Bytes", "PutRecords.Bytes",
            "PutRecords.Records", "PutRecords.TotalRecords", "PutRecords.SuccessfulRecords"]),
        // The part of the calls that succeeded, as 0 to 1.
        (Known::Rate, &["GetRecords.Success", "PutRecord.Success", "PutRecords.Success"]),
        (Known::Used(Gauge::Queue), &["GetRecords.IteratorAgeMilliseconds", "IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest"]),
        (Known::TimesAveraged(MILLISECONDS), &["GetRecords.Latency", "PutRecord.Latency", "PutRecords.Latency"]),
    ]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_metric_is_told_twice() {
        let mut namespaces = BTreeSet::new();
        for (names, rows) in TABLE {
            assert!(names.iter().all(|name| namespaces.insert(*name)), "{names:?}");
            let mut metrics = BTreeSet::new();
            for metric in rows.iter().flat_map(|(_, metrics)| *metrics) {
                assert!(metrics.insert(*metric), "{names:?} {metric}");
            }
        }
    }
}
