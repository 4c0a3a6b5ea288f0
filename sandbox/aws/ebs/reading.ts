import {
  type GetSnapshotBlockRequest,
  type GetSnapshotBlockResponse,
  type ListChangedBlocksRequest,
  type ListChangedBlocksResponse,
  type ListSnapshotBlocksRequest,
  type ListSnapshotBlocksResponse,
} from '@aws-sdk/client-ebs';
import { type Account } from '../account';
import { type SnapshotRecord } from '../state/records';
import { BLOCK_SIZE } from '../storage/block';
import { type BlockMap } from '../storage/maps';
import { notFound, validation } from './errors';
import { type TokenSigner } from './read-tokens';

/** MaxResults (EBS direct API Reference, ListSnapshotBlocks). */
const SMALLEST_PAGE = 100;
const LARGEST_PAGE = 10_000;

/** How long block tokens are good for. */
const BLOCK_TOKEN_LIFE = 7 * 24 * 3600 * 1000;
/** How long page tokens are good for. */
const PAGE_TOKEN_LIFE = 60 * 60 * 1000;

interface PageRequest {
  MaxResults?: number;
  NextToken?: string;
  StartingBlockIndex?: number;
}

/** The reading half of the EBS direct APIs. */
export function readingHandlers(account: Account, tokens: TokenSigner) {
  function completed(id: string | undefined): { snapshot: SnapshotRecord; map: BlockMap } {
    const snapshot = account.snapshots.get(id ?? '');
    if (snapshot === undefined || snapshot.deletedAt !== undefined)
      throw notFound('SNAPSHOT_NOT_FOUND', `The snapshot '${id ?? ''}' does not exist.`);
    const map = snapshot.map === undefined ? undefined : account.maps.get(snapshot.map);
    if (snapshot.state !== 'completed' || map === undefined)
      throw validation(
        'INVALID_SNAPSHOT_ID',
        `The snapshot '${snapshot.id}' is ${snapshot.state}; only a completed one can be read.`,
      );
    return { snapshot, map };
  }

  const blockToken = (snapshotId: string, index: number, expires: number): string =>
    tokens.sign(`block/${snapshotId}/${index}`, expires);

  /** Up to a page of those indices, from where the request says, that `include` has something for. */
  function pageOf<T>(
    request: PageRequest,
    list: string,
    length: number,
    include: (index: number) => T | undefined,
  ) {
    const size = request.MaxResults ?? LARGEST_PAGE;
    if (size < SMALLEST_PAGE || size > LARGEST_PAGE)
      throw validation('INVALID_PARAMETER_VALUE', `MaxResults must be ${SMALLEST_PAGE} to ${LARGEST_PAGE}.`);
    let index = request.StartingBlockIndex ?? 0;
    if (request.NextToken !== undefined) {
      const name = tokens.open(request.NextToken);
      const prefix = `page/${list}/`;
      if (name === undefined || !name.startsWith(prefix))
        throw validation('INVALID_PAGE_TOKEN', 'The next token is not valid.');
      index = Number(name.slice(prefix.length));
    }
    const items: T[] = [];
    for (; index < length; index++) {
      const item = include(index);
      if (item === undefined) continue;
      // Only a page that has a successor gets a token.
      if (items.length === size)
        return { items, NextToken: tokens.sign(`page/${list}/${index}`, Date.now() + PAGE_TOKEN_LIFE) };
      items.push(item);
    }
    return { items, NextToken: undefined };
  }

  function sameBlock(a: BlockMap, b: BlockMap, index: number): boolean {
    const [one, other] = [a.owner(index), b.owner(index)];
    if (one === other) return true;
    if (one === undefined || other === undefined) return false;
    const digest = account.layers.digest(other, index);
    return digest !== undefined && account.layers.digest(one, index)?.equals(digest) === true;
  }

  return {
    ListSnapshotBlocks(input: ListSnapshotBlocksRequest): ListSnapshotBlocksResponse {
      const { snapshot, map } = completed(input.SnapshotId);
      const expires = Date.now() + BLOCK_TOKEN_LIFE;
      const { items, NextToken } = pageOf(input, snapshot.id, map.length, (index) =>
        map.owner(index) === undefined
          ? undefined
          : { BlockIndex: index, BlockToken: blockToken(snapshot.id, index, expires) },
      );
      return {
        Blocks: items,
        ExpiryTime: new Date(expires),
        VolumeSize: snapshot.sizeGiB,
        BlockSize: BLOCK_SIZE,
        NextToken,
      };
    },

    ListChangedBlocks(input: ListChangedBlocksRequest): ListChangedBlocksResponse {
      const { snapshot: second, map } = completed(input.SecondSnapshotId);
      const first = input.FirstSnapshotId === undefined ? undefined : completed(input.FirstSnapshotId);
      if (first !== undefined && first.snapshot.lineage !== second.lineage)
        throw validation('UNRELATED_SNAPSHOTS', 'The snapshots are of different volumes or lineages.');
      if (first !== undefined && first.snapshot.sizeGiB > second.sizeGiB)
        throw validation('INVALID_VOLUME_SIZE', 'The second snapshot is smaller than the first.');
      const expires = Date.now() + BLOCK_TOKEN_LIFE;
      const list = `${first?.snapshot.id ?? ''}/${second.id}`;
      const { items, NextToken } = pageOf(input, list, map.length, (index) => {
        const inSecond = map.owner(index) !== undefined;
        const inFirst = first?.map.owner(index) !== undefined;
        if (!inFirst && !inSecond) return undefined;
        if (first !== undefined && sameBlock(first.map, map, index)) return undefined;
        return {
          BlockIndex: index,
          FirstBlockToken:
            first !== undefined && inFirst ? blockToken(first.snapshot.id, index, expires) : undefined,
          SecondBlockToken: inSecond ? blockToken(second.id, index, expires) : undefined,
        };
      });
      return {
        ChangedBlocks: items,
        ExpiryTime: new Date(expires),
        VolumeSize: second.sizeGiB,
        BlockSize: BLOCK_SIZE,
        NextToken,
      };
    },

    async GetSnapshotBlock(input: GetSnapshotBlockRequest): Promise<GetSnapshotBlockResponse> {
      const { snapshot, map } = completed(input.SnapshotId);
      const index = input.BlockIndex ?? -1;
      if (tokens.open(input.BlockToken ?? '') !== `block/${snapshot.id}/${index}`)
        throw validation('INVALID_BLOCK_TOKEN', 'The block token is not valid for this block.');
      const layer = map.owner(index);
      const digest = layer === undefined ? undefined : account.layers.digest(layer, index);
      if (layer === undefined || digest === undefined)
        throw notFound('SNAPSHOT_NOT_FOUND', `The snapshot '${snapshot.id}' has no block ${index}.`);
      const checksum = digest.toString('base64');
      const block = Buffer.allocUnsafe(BLOCK_SIZE);
      await account.layers.read(layer, index, block);
      return {
        DataLength: BLOCK_SIZE,
        BlockData: block as never, // the codec takes bytes; the SDK's type is a stream's
        Checksum: checksum,
        ChecksumAlgorithm: 'SHA256',
      };
    },
  };
}
