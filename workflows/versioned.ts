/**
 * The workflow types as versioned workers run them: the entry of a bundle of its own. The server refuses what a worker without a version
 * says of versions.
 */
export * from './index';
import './versioning';
