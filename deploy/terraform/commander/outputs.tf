output "secret_arn" {
  description = "Put the Slack tokens in here, then the bot starts."
  value       = aws_secretsmanager_secret.slack.arn
}

output "topic_arn" {
  description = "Let CloudWatch alarms notify this topic, and list it under [aws] topics."
  value       = aws_sns_topic.alarms.arn
}

output "read_role_arn" {
  description = "[aws] read_role_arn"
  value       = aws_iam_role.read.arn
}

output "write_role_arn" {
  description = "[aws] write_role_arn"
  value       = aws_iam_role.write.arn
}
