const { TestEnvironment } = require('jest-environment-node');

/**
 * Node's environment, which tells a test file of each failure while everything still is as it was when the test failed:
 * jest calls hooks later, and does not say how the test ended. See `test/support/post-mortem.ts`.
 */
module.exports = class ToldFailures extends TestEnvironment {
  async handleTestEvent(event) {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure')
      await this.global.lifeboatTestFailed?.(event.test?.name ?? event.hook.type);
  }
};
