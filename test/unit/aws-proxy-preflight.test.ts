import { fixedAddressFindings } from '../../activities/aws-proxy/readiness/addresses';
import { siteFindings } from '../../activities/aws-proxy/readiness/network';
import { hardwareFindings } from '../../activities/aws-proxy/readiness/instance-types';

describe('fixedAddressFindings', () => {
  it('has nothing to say of good addresses', () => {
    const wanted = [
      { vm: 'db', address: '10.0.1.30' },
      { vm: 'web', address: '10.0.1.4' },
    ];
    expect(fixedAddressFindings(wanted, '10.0.1.0/24')).toEqual([]);
  });

  it.each(['10.0.1.0', '10.0.1.1', '10.0.1.2', '10.0.1.3', '10.0.1.255'])(
    'refuses %s, which AWS keeps',
    (address) => {
      expect(fixedAddressFindings([{ vm: 'db', address }], '10.0.1.0/24')).toEqual([
        `The address ${address} of db is one of those that AWS keeps of 10.0.1.0/24.`,
      ]);
    },
  );

  it('refuses an address outside of the block, also of one that is no whole octet', () => {
    expect(fixedAddressFindings([{ vm: 'db', address: '10.0.1.200' }], '10.0.1.0/25')).toEqual([
      "The address 10.0.1.200 of db is not in the subnet's block 10.0.1.0/25.",
    ]);
  });

  it('refuses an address given twice', () => {
    const wanted = [
      { vm: 'db', address: '10.0.1.30' },
      { vm: 'web', address: '10.0.1.30' },
    ];
    expect(fixedAddressFindings(wanted, '10.0.1.0/24')).toEqual([
      'The address 10.0.1.30 is given to db and web.',
    ]);
  });
});

describe('siteFindings', () => {
  const wanted = { subnet: 'subnet-1', securityGroups: ['sg-1', 'sg-2'], publicAddress: false };
  const subnet = {
    SubnetId: 'subnet-1',
    VpcId: 'vpc-1',
    State: 'available',
    AvailableIpAddressCount: 250,
  } as const;

  it('has nothing to say of a good site', () => {
    const groups = [
      { GroupId: 'sg-1', VpcId: 'vpc-1' },
      { GroupId: 'sg-2', VpcId: 'vpc-1' },
    ];
    expect(siteFindings(wanted, { subnets: [subnet], groups }, 2)).toEqual([]);
  });

  it('names all that is wrong', () => {
    const groups = [{ GroupId: 'sg-1', VpcId: 'vpc-2' }];
    expect(siteFindings(wanted, { subnets: [{ ...subnet, AvailableIpAddressCount: 1 }], groups }, 2)).toEqual(
      [
        'The subnet subnet-1 has 1 free addresses; 2 VMs need one each.',
        'The security group sg-1 is in vpc-2, the subnet subnet-1 in vpc-1.',
        'The security group sg-2 does not exist.',
      ],
    );
    expect(siteFindings(wanted, { subnets: [], groups }, 2)).toContain('The subnet subnet-1 does not exist.');
  });
});

describe('hardwareFindings', () => {
  it('takes a type that says nothing against itself', () => {
    expect(
      hardwareFindings({ ProcessorInfo: { SupportedArchitectures: ['i386', 'x86_64'] } }, 'uefi'),
    ).toEqual([]);
  });

  it('counts the addresses of the network card', () => {
    const type = { ProcessorInfo: { SupportedArchitectures: ['x86_64' as const] } };
    const ofCard = { ...type, NetworkInfo: { Ipv4AddressesPerInterface: 2 } };
    expect(hardwareFindings(ofCard, 'bios', 2)).toEqual([]);
    expect(hardwareFindings(ofCard, 'bios', 3)).toEqual(['takes 2 addresses on its network card, not 3']);
  });

  it('refuses other processors, firmware, disks and cards', () => {
    expect(
      hardwareFindings(
        {
          ProcessorInfo: { SupportedArchitectures: ['arm64'] },
          SupportedBootModes: ['uefi'],
          EbsInfo: { NvmeSupport: 'unsupported' },
          NetworkInfo: { EnaSupport: 'unsupported' },
        },
        'bios',
      ),
    ).toEqual([
      'is arm64, not x86_64',
      "does not boot in legacy-bios mode, which the VM's firmware needs",
      'has no NVMe disks',
      'has no ENA network card',
    ]);
  });
});
