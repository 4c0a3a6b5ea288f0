import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Which layer holds each block of a snapshot. Never changed once made; several snapshots' maps share layers. */
export class BlockMap {
  constructor(
    readonly id: string,
    readonly layers: readonly string[],
    /** By block: 0 for none (zeros), or 1 + the layer's position in {@link layers}. */
    private readonly owners: Uint32Array,
  ) {}

  get length(): number {
    return this.owners.length;
  }

  /** The layer that holds a block; undefined where the block was never written. */
  owner(index: number): string | undefined {
    const position = this.owners[index] ?? 0;
    return position === 0 ? undefined : this.layers[position - 1];
  }
}

/** Block maps on disk: a line of JSON, then the owners, 4 bytes a block, little endian. */
export class MapStore {
  private readonly maps = new Map<string, BlockMap>();

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      if (name.endsWith('.map')) this.add(decode(name.slice(0, -'.map'.length), readFileSync(path)));
      else rmSync(path, { force: true });
    }
  }

  ids(): string[] {
    return [...this.maps.keys()];
  }

  get(id: string): BlockMap | undefined {
    return this.maps.get(id);
  }

  /**
   * Makes the map of a snapshot: the base's blocks, with those of one layer over them. Layers none of whose blocks
   * show through any more are not referred to.
   */
  seal(
    id: string,
    length: number,
    base: BlockMap | undefined,
    layer: string,
    indices: readonly number[],
  ): BlockMap {
    const own = new Set(indices);
    const positions = new Map<string, number>();
    const owners = new Uint32Array(length);
    for (let index = 0; index < length; index++) {
      const owner = own.has(index) ? layer : base?.owner(index);
      if (owner === undefined) continue;
      let position = positions.get(owner);
      if (position === undefined) {
        position = positions.size + 1;
        positions.set(owner, position);
      }
      owners[index] = position;
    }
    const map = new BlockMap(id, [...positions.keys()], owners);
    const path = join(this.directory, `${id}.map`);
    writeFileSync(`${path}.tmp`, encode(map, owners));
    renameSync(`${path}.tmp`, path);
    return this.add(map);
  }

  delete(id: string): void {
    rmSync(join(this.directory, `${id}.map`), { force: true });
    this.maps.delete(id);
  }

  private add(map: BlockMap): BlockMap {
    this.maps.set(map.id, map);
    return map;
  }
}

function encode(map: BlockMap, owners: Uint32Array): Buffer {
  const header = Buffer.from(`${JSON.stringify({ layers: map.layers })}\n`);
  const body = Buffer.alloc(owners.length * 4);
  owners.forEach((owner, index) => body.writeUInt32LE(owner, index * 4));
  return Buffer.concat([header, body]);
}

function decode(id: string, file: Buffer): BlockMap {
  const end = file.indexOf('\n');
  const { layers } = JSON.parse(file.toString('utf8', 0, end)) as { layers: string[] };
  const body = file.subarray(end + 1);
  const owners = new Uint32Array(body.length / 4);
  for (let index = 0; index < owners.length; index++) owners[index] = body.readUInt32LE(index * 4);
  return new BlockMap(id, layers, owners);
}
