import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { type Collection, type Stored } from '../state/collection';
import { type AccessKey } from '../wire/signature/verify';
import { type PolicyDocument } from './policy-document';
import { type Principal, rootPrincipal } from './principal';
import { type TrustPolicy } from './trust';

/** A user of the account, with an access key. */
export interface UserFixture {
  name: string;
  accessKeyId: string;
  secretAccessKey: string;
  policies: PolicyDocument[];
}

export interface RoleFixture {
  name: string;
  /** Who may assume it. */
  trust: TrustPolicy;
  policies: PolicyDocument[];
  /** Seconds that a session may last at most; an hour where absent, as in IAM. */
  longestSession?: number;
}

/** Users and roles of the account, beside its root user. */
export interface Identities {
  users: UserFixture[];
  roles: RoleFixture[];
}

/** What STS gave to somebody who assumed a role. Times are ISO 8601. */
export interface SessionRecord extends Stored {
  role: string;
  name: string;
  secretAccessKey: string;
  createdAt: string;
  expiresAt: string;
}

/** Letters and digits of ids that IAM gives. */
const ID_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

const newKeyId = (): string =>
  `ASIA${Array.from({ length: 16 }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('')}`;

/** By access key id, and by name. */
interface Known {
  identities: Identities;
  users: Map<string, UserFixture>;
  roles: Map<string, RoleFixture>;
}

/** Whose a request's key is, and what that is allowed. */
export class IdentityStore {
  private known: Known;

  /**
   * @param root the access key of the account's root user, whose secret the tokens of sessions are made with
   * @param current users and roles as they are at present; the same object for as long as nothing has changed
   */
  constructor(
    private readonly accountId: string,
    private readonly root: { accessKeyId: string; secretAccessKey: string },
    private readonly current: () => Identities,
    private readonly sessions: Collection<SessionRecord>,
  ) {
    this.known = indexed(current());
  }

  find = (accessKeyId: string): AccessKey<Principal> | undefined => {
    if (accessKeyId === this.root.accessKeyId)
      return { owner: rootPrincipal(this.accountId), secretAccessKey: this.root.secretAccessKey };
    const { users, roles } = this.present();
    const user = users.get(accessKeyId);
    if (user !== undefined) return { owner: this.userPrincipal(user), secretAccessKey: user.secretAccessKey };
    const session = this.sessions.get(accessKeyId);
    const role = session === undefined ? undefined : roles.get(session.role);
    // A role that is gone takes its sessions with it.
    if (session === undefined || role === undefined) return undefined;
    return {
      owner: this.sessionPrincipal(role, session.name),
      secretAccessKey: session.secretAccessKey,
      session: { token: this.tokenOf(session.id), expiresAt: Date.parse(session.expiresAt) },
    };
  };

  role(name: string): RoleFixture | undefined {
    return this.present().roles.get(name);
  }

  /** Lets somebody be a role for some seconds. */
  begin(role: RoleFixture, name: string, seconds: number): SessionRecord & { token: string } {
    const now = Date.now();
    const session = this.sessions.put({
      id: newKeyId(),
      role: role.name,
      name,
      secretAccessKey: randomBytes(30).toString('base64'),
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + seconds * 1000).toISOString(),
    });
    return { ...session, token: this.tokenOf(session.id) };
  }

  sessionArn = (role: RoleFixture, name: string): string =>
    `arn:aws:sts::${this.accountId}:assumed-role/${role.name}/${name}`;

  /** Forgets sessions that ended before then: their keys are those of nobody afterwards. */
  forget(before: number): void {
    for (const { id, expiresAt } of this.sessions.all())
      if (Date.parse(expiresAt) < before) this.sessions.delete(id);
  }

  private present(): Known {
    const identities = this.current();
    if (identities !== this.known.identities) this.known = indexed(identities);
    return this.known;
  }

  private userPrincipal({ name, policies }: UserFixture): Principal {
    const arn = `arn:aws:iam::${this.accountId}:user/${name}`;
    return { arn, accountId: this.accountId, kind: 'user', policies };
  }

  private sessionPrincipal(role: RoleFixture, name: string): Principal {
    const { accountId } = this;
    return { arn: this.sessionArn(role, name), accountId, kind: 'role-session', policies: role.policies };
  }

  /** Not kept: whoever can read the state of the sandbox has its root key, too. */
  private tokenOf(id: string): string {
    return createHmac('sha512', this.root.secretAccessKey).update(`session ${id}`).digest('base64');
  }
}

function indexed(identities: Identities): Known {
  return {
    identities,
    users: new Map(identities.users.map((user) => [user.accessKeyId, user])),
    roles: new Map(identities.roles.map((role) => [role.name, role])),
  };
}

/** The unique id of a user or a role, of which AWS makes its own. */
export function uniqueId(prefix: 'AIDA' | 'AROA', name: string): string {
  const digest = createHmac('sha256', prefix).update(name).digest();
  return prefix + Array.from(digest.subarray(0, 17), (byte) => ID_LETTERS[byte % 32]).join('');
}
