output "repository" {
  description = "LIFEBOAT_REPOSITORY of all workers and of the command"
  value       = aws_cloudformation_stack.lifeboat.outputs["LifeboatRepository"]
}

output "repository_bucket" {
  description = "repository.bucket of the plan"
  value       = aws_cloudformation_stack.lifeboat.outputs["RepositoryBucket"]
}

output "repository_prefix" {
  description = "repository.prefix of the plan"
  value       = aws_cloudformation_stack.lifeboat.outputs["RepositoryPrefix"]
}

output "production_security_group" {
  description = "recoverySite.production.securityGroups of the plan"
  value       = aws_cloudformation_stack.lifeboat.outputs["ProductionSecurityGroup"]
}

output "test_security_group" {
  description = "recoverySite.test.securityGroups of the plan"
  value       = aws_cloudformation_stack.lifeboat.outputs["TestSecurityGroup"]
}

output "control_role_arn" {
  description = "For a control worker outside of AWS"
  value       = aws_cloudformation_stack.lifeboat.outputs["ControlRoleArn"]
}

output "backup_proxy_role_arn" {
  description = "For backup proxies, by IAM Roles Anywhere; empty without a trust anchor"
  value       = try(aws_cloudformation_stack.lifeboat.outputs["BackupProxyRoleArn"], "")
}

output "roles_anywhere_profile_arn" {
  description = "For both of these; empty without a trust anchor"
  value       = try(aws_cloudformation_stack.lifeboat.outputs["RolesAnywhereProfileArn"], "")
}

output "command_policy_arn" {
  description = "For who uses the lifeboat command"
  value       = aws_cloudformation_stack.lifeboat.outputs["CommandPolicyArn"]
}

output "notices_topic" {
  description = "Topic of the alarms; a plan may name it as a receiver"
  value       = aws_cloudformation_stack.lifeboat.outputs["NoticesTopic"]
}
