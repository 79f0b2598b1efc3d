import {createReadStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client} from '@aws-sdk/client-s3';
import {asError} from './log.mjs';

/** Amazon S3, or what speaks its protocol. Credentials come from the environment. */
export class Storage {
	#client;
	#baseUrl;

	/** @param {{endpoint: string | undefined, region: string}} options without an endpoint it is AWS itself */
	constructor({endpoint, region}) {
		// Virtual-hosted addresses would need a name for each bucket, which a local endpoint has not.
		this.#client = new S3Client({endpoint, region, forcePathStyle: endpoint !== undefined});
		this.#baseUrl = (endpoint ?? `https://s3.${region}.amazonaws.com`).replace(/\/$/, '');
	}

	/**
	 * @param {string} bucketName
	 * @param {string} key
	 * @returns {string} the plain address, which works where the object may be read by anyone
	 */
	urlOf(bucketName, key) {
		return `${this.#baseUrl}/${bucketName}/${key}`;
	}

	/**
	 * @param {string} bucketName
	 * @param {string} key
	 * @param {string} json
	 */
	async writeJson(bucketName, key, json) {
		await this.#client.send(
			new PutObjectCommand({Bucket: bucketName, Key: key, Body: json, ContentType: 'application/json'}),
		);
	}

	/**
	 * @param {string} bucketName
	 * @param {string} key
	 * @returns {Promise<string>} rejects with the SDK's own `NoSuchKey` where there is no such object
	 */
	async readText(bucketName, key) {
		const {Body: body} = await this.#client.send(new GetObjectCommand({Bucket: bucketName, Key: key}));
		return /** @type {NonNullable<typeof body>} */ (body).transformToString();
	}

	/**
	 * @param {string} bucketName
	 * @param {string} key
	 */
	async exists(bucketName, key) {
		try {
			await this.#client.send(new HeadObjectCommand({Bucket: bucketName, Key: key}));
			return true;
		} catch (error) {
			if (asError(error).name === 'NotFound') {
				return false;
			}
			throw error;
		}
	}

	/**
	 * @param {string} file
	 * @param {{bucketName: string, key: string, contentType: string, contentDisposition?: string | undefined,
	 *   storageClass?: string | null | undefined, ifAbsent: boolean}} target
	 * @returns {Promise<number>} the size in bytes
	 */
	async upload(file, {bucketName, key, contentType, contentDisposition, storageClass, ifAbsent}) {
		const {size} = await stat(file);
		await this.#client.send(
			new PutObjectCommand({
				Bucket: bucketName,
				Key: key,
				Body: createReadStream(file),
				ContentLength: size,
				ContentType: contentType,
				ContentDisposition: contentDisposition,
				StorageClass: /** @type {import('@aws-sdk/client-s3').StorageClass | undefined} */ (
					storageClass ?? undefined
				),
				IfNoneMatch: ifAbsent ? '*' : undefined,
			}),
		);
		return size;
	}

	/**
	 * @param {string} bucketName
	 * @param {string} key
	 */
	async remove(bucketName, key) {
		await this.#client.send(new DeleteObjectCommand({Bucket: bucketName, Key: key}));
	}
}
