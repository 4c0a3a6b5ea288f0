/** Without these an instance has no disk and no network; EC2's Nitro instances have no others. */
export const REQUIRED_MODULES = ['nvme', 'ena'];
/** For QEMU, which has NVMe but no ENA. */
const FURTHER_MODULES = ['virtio_pci', 'virtio_net'];
/** What the recovery site's machines have. */
export const RECOVERY_MODULES = [...REQUIRED_MODULES, ...FURTHER_MODULES];

/** Disk controllers of the primary site's machines (VMware's paravirtual, LSI Logic parallel and SAS, SATA) and the driver of SCSI disks. */
export const PRIMARY_DISK_MODULES = ['vmw_pvscsi', 'mptspi', 'mptsas', 'ahci', 'sd_mod'];
/** With their network cards. */
export const PRIMARY_MODULES = [...PRIMARY_DISK_MODULES, 'vmxnet3'];
